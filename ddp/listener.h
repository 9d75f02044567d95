// Waits until somebody listens at an address, so that what connects next is not refused.
//
// libtorch's store, refused once, tries again a whole second later; ranks that are a moment ahead of
// rank 0 would all pay it.
#pragma once

#include <cstdint>
#include <string>

namespace batch71::ddp {

// True once a connection was accepted there (it is closed at once); false if none was until
// `deadline_ns` (CLOCK_MONOTONIC), or the host has no address. Any thread.
bool await_listener(const std::string& host, int port, uint64_t deadline_ns);

}  // namespace batch71::ddp
