// file_fifo: a read that never comes back, as on a network file system that hangs.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "faults/fault.h"

namespace batch71::faults {

Fault file_fifo() {
  return {"file_fifo",
          Family::kIo,
          "Reading the file blocks for ever.",
          "A named pipe takes the file's place; who opens it for reading waits for a writer.",
          "The worker waits in the kernel, the rank for the worker, all others for the rank.",
          "read_blocked",
          "audio_open",
          [](const std::string& file) {
            std::filesystem::remove(file);
            if (mkfifo(file.c_str(), 0600) != 0) {
              throw std::system_error(errno, std::generic_category(), file);
            }
          }};
}

}  // namespace batch71::faults
