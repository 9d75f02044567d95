// file_fifo: a read that never comes back, without any file system of our own.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "faults/fault.h"

namespace batch71::faults {

Fault file_fifo() {
  return {
      .name = "file_fifo",
      .family = Family::kIo,
      .target = Target::kItem,
      .says = "Reading the file blocks for ever.",
      .seam = "the audio file",
      .how = "A named pipe takes the file's place; its writer opens it and never writes.",
      .unguarded =
          "The worker waits in the kernel, the rank for the worker, all others for the rank.",
      .control = ControlEffect::kHangs,
      .guard = "item_deadline_ms",
      .verdict = "read_blocked",
      .stages = {"audio_open", "audio_read"},
      .loses = Loss::kStruckItem,
      .bound = Deadline::kItem,
      .holds_its_process = true,
      .is_lasting = true,
      .inject =
          [](const Site& site) {
            std::filesystem::remove(site.struck_copy);
            if (mkfifo(site.struck_copy.c_str(), 0600) != 0) {
              throw std::system_error(errno, std::generic_category(), site.struck_copy);
            }
            Injection injection = watch_open(site, site.seen_file);
            injection.helpers.front().argv = {injection.helpers.front().argv[0], "--strikes",
                                              site.strike_log, "--fifo", site.seen_file};
            return injection;
          },
  };
}

}  // namespace batch71::faults
