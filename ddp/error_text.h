// What libtorch's errors say, without the stack that it appends to them.
#pragma once

#include <string>

namespace batch71::ddp {

// All lines that are the message's own. The stack is of where libtorch noticed; where something was thrown is
// known to loader::last_throw_stack.
inline std::string without_stack(const std::string& what) {
  return what.substr(0, what.find("\nException raised from"));
}

// For a sentence that goes on after it.
inline std::string first_line(const std::string& what) { return what.substr(0, what.find('\n')); }

}  // namespace batch71::ddp
