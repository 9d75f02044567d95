// Bytes that nobody can change any more: a sealed memfd, mapped read-only.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <string_view>

namespace batch71::loader {

// Throws std::runtime_error where the system refuses it.
boost::interprocess::mapped_region seal(std::string_view bytes);

}  // namespace batch71::loader
