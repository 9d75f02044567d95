// Interposes __cxa_throw (Itanium C++ ABI, exception handling, 2.4.3).
#include "loader/throw_stack.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace batch71::loader {
namespace {

constexpr int kMostFrames = 16;

struct ThreadStack {
  bool armed = false;
  int frames = 0;
  std::array<void*, kMostFrames> addresses{};
};
thread_local ThreadStack newest;

// "function+0x1f (module)"; no path, only the module's own name.
std::string frame_text(void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "?";
  const std::string_view path = info.dli_fname;
  const std::string module(path.substr(path.rfind('/') + 1));
  std::string function = "?";
  if (info.dli_sname != nullptr) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> readable(
        abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), std::free);
    function = status == 0 ? readable.get() : info.dli_sname;
  }
  const void* base = info.dli_saddr != nullptr ? info.dli_saddr : info.dli_fbase;
  std::array<char, 32> offset{};
  std::snprintf(offset.data(), offset.size(), "+0x%zx",
                static_cast<size_t>(static_cast<char*>(address) - static_cast<const char*>(base)));
  return function + offset.data() + " (" + module + ")";
}

std::string stack_text(void* const* addresses, int frames) {
  std::string text;
  for (int i = 0; i < frames; ++i) text += "  " + frame_text(addresses[i]) + "\n";
  return text;
}

}  // namespace

// Called by the interposed __cxa_throw.
[[gnu::noinline]] void remember_throw() {
  if (!newest.armed) return;
  newest.armed = false;  // backtrace must not come back here
  newest.frames = backtrace(newest.addresses.data(), kMostFrames);
  newest.armed = true;
}

ThrowStackScope::ThrowStackScope() {
  newest.frames = 0;
  newest.armed = true;
}
ThrowStackScope::~ThrowStackScope() { newest.armed = false; }

std::string last_throw_stack() {
  constexpr int kOwnFrames = 2;  // remember_throw and __cxa_throw
  if (newest.frames > kOwnFrames) {
    return stack_text(newest.addresses.data() + kOwnFrames, newest.frames - kOwnFrames);
  }
  std::array<void*, kMostFrames> here{};
  return "where it was caught:\n" + stack_text(here.data(), backtrace(here.data(), kMostFrames));
}

}  // namespace batch71::loader

namespace __cxxabiv1 {

extern "C" void __cxa_throw(void* exception, std::type_info* type, void (*destroy)(void*)) {
  using Throw = void (*)(void*, std::type_info*, void (*)(void*));
  static const auto next = reinterpret_cast<Throw>(dlsym(RTLD_NEXT, "__cxa_throw"));
  batch71::loader::remember_throw();
  next(exception, type, destroy);
  std::abort();  // the next one does not return
}

}  // namespace __cxxabiv1
