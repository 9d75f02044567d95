// Makes sealed memory.
#include "loader/sealed_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <boost/interprocess/detail/os_file_functions.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "loader/unique_fd.h"

namespace batch71::loader {
namespace {

namespace ipc = boost::interprocess;

// What mapped_region asks of a thing that can be mapped.
struct Mappable {
  int fd;
  ipc::mapping_handle_t get_mapping_handle() const {
    return ipc::ipcdetail::mapping_handle_from_file_handle(fd);
  }
};

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

ipc::mapped_region seal(std::string_view bytes) {
  const UniqueFd fd(memfd_create("batch71", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) fail("memfd_create");
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail("write to memory");
    done += static_cast<size_t>(wrote);
  }
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) fail("seal");
  return ipc::mapped_region(Mappable{fd.get()}, ipc::read_only, 0, bytes.size());
}

}  // namespace batch71::loader
