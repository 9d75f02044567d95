// The stack of an exception, taken where it is thrown.
//
// For: user code whose exception is caught far from where it began. __cxa_throw is interposed; only a
// thread with a live ThrowStackScope pays for it, and only when something is thrown. Addresses are
// kept; they are turned into names when `last_throw_stack` is asked.
#pragma once

#include <string>

namespace batch71::loader {

class ThrowStackScope {
 public:
  ThrowStackScope();
  ~ThrowStackScope();
  ThrowStackScope(const ThrowStackScope&) = delete;
  ThrowStackScope& operator=(const ThrowStackScope&) = delete;
};

// One frame a line, from the throw outwards, of this thread's newest throw inside the live scope; if
// there was none, the stack of the caller under the heading "where it was caught:".
std::string last_throw_stack();

}  // namespace batch71::loader
