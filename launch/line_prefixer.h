// Passes the output of a process on to our stdout, line by line, with a prefix.
#pragma once

#include <string>
#include <string_view>

#include "launch/fd.h"

namespace batch71::launch {

class LinePrefixer {
 public:
  // `output`: receives the end for the process. Throws std::runtime_error.
  LinePrefixer(std::string prefix, UniqueFd& output);

  // Readable when there is something to forward; -1 once all writers are gone.
  int fd() const { return pipe_.get(); }
  // Passes on what is there; never waits.
  void forward();

 private:
  void print_line(std::string_view line) const;
  void print_lines(bool also_unfinished);

  std::string prefix_;
  std::string pending_;
  UniqueFd pipe_;
};

}  // namespace batch71::launch
