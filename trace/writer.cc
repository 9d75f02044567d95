// Creates trace files and writes the rare records; the hot path is in the header.
#include "trace/writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "trace/process_state.h"
#include "trace/text_ring.h"

namespace batch71::trace {
namespace {

namespace ipc = boost::interprocess;

struct Sizes {
  uint32_t hot_slots;
  uint32_t incident_slots;
  uint32_t hot_text_bytes;
  uint32_t incident_text_bytes;

  size_t total_bytes() const {
    return kHeaderBytes + (size_t{hot_slots} + incident_slots) * sizeof(Record) + hot_text_bytes +
           incident_text_bytes;
  }
};

// A flood of bad samples, or of epochs, must not leave the log without room for the end of the story.
constexpr uint32_t kReservedIncidents = 64;
constexpr size_t kReservedTextBytes = 32 * 1024;

Sizes normal_sizes(uint32_t hot_slots) { return {hot_slots, 1024, 128 * 1024, 256 * 1024}; }
// For a nearly full tmpfs: containers give 64 MB for everybody.
constexpr Sizes kSmallSizes{256, 160, 16 * 1024, 64 * 1024};

// Others write there too: of what is nearly full nobody takes much.
constexpr uint64_t kAmpleForWriters = 16;

void refuse_if_cramped(const std::string& folder, const Sizes& sizes) {
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return;  // of unlimited size
  const uint64_t free_bytes = uint64_t{info.f_bavail} * info.f_frsize;
  if (free_bytes >= kAmpleForWriters * sizes.total_bytes()) return;
  throw std::runtime_error("its file system has only " + std::to_string(free_bytes >> 10) +
                           " KiB left, for all writers");
}

bool is_flood_prone(Event event) {
  switch (event) {
    case Event::kWorkerSpawned:
    case Event::kWorkerExited:
    case Event::kObservation:
    case Event::kKilledByWatch:
    case Event::kDummy:
    case Event::kError:
    case Event::kUnkillable:
    case Event::kAgreementText:  // one an epoch
    case Event::kPadded:
    case Event::kDropped:
    case Event::kJoined: return true;
    default: return false;
  }
}

void copy_text(char* to, size_t size_bytes, std::string_view text) {
  const size_t length = std::min(text.size(), size_bytes - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

uint64_t pid_namespace() {
  struct stat info {};
  return stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

}  // namespace

class Writer::Mapping {
 public:
  // Throws std::runtime_error with the reason; leaves no file behind then.
  Mapping(const std::string& path, const Sizes& sizes) : sizes_(sizes) {
    // Under a name of its own first: a file of that name may still be mapped by somebody, and cutting
    // it would be a SIGBUS in him.
    const std::string made = path + "." + std::to_string(getpid()) + ".new";
    const int fd = open(made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) throw std::runtime_error(std::strerror(errno));
    // Blocks are taken now: on a full tmpfs a later store would be a SIGBUS in the trainer.
    const int refused = posix_fallocate(fd, 0, static_cast<off_t>(sizes.total_bytes()));
    close(fd);
    try {
      if (refused != 0) throw std::runtime_error(std::strerror(refused));
      region_ = ipc::mapped_region(ipc::file_mapping(made.c_str(), ipc::read_write),
                                   ipc::read_write, 0, sizes.total_bytes());
      if (rename(made.c_str(), path.c_str()) != 0) throw std::runtime_error(std::strerror(errno));
    } catch (const std::exception&) {
      unlink(made.c_str());
      throw;
    }
    hot_text_ = TextArea(at(hot_text_offset()), sizes.hot_text_bytes, true);
    incident_text_ =
        TextArea(at(hot_text_offset() + sizes.hot_text_bytes), sizes.incident_text_bytes, false);
  }

  FileHeader& header() { return *reinterpret_cast<FileHeader*>(at(0)); }
  Record* hot() { return reinterpret_cast<Record*>(at(kHeaderBytes)); }
  Record* incidents() { return hot() + sizes_.hot_slots; }
  const Sizes& sizes() const { return sizes_; }
  TextArea& hot_text() { return hot_text_; }
  TextArea& incident_text() { return incident_text_; }

  uint64_t incident_sequence = 0;
  uint64_t anchor_sequence = 0;

 private:
  char* at(size_t offset) { return static_cast<char*>(region_.get_address()) + offset; }
  size_t hot_text_offset() const {
    return kHeaderBytes + (size_t{sizes_.hot_slots} + sizes_.incident_slots) * sizeof(Record);
  }

  Sizes sizes_;
  ipc::mapped_region region_;
  TextArea hot_text_;
  TextArea incident_text_;
};

namespace {

void fill_header(FileHeader& header, const WriterSpec& spec, const Sizes& sizes) {
  header.version = kVersion;
  header.header_bytes = kHeaderBytes;
  header.hot_slots = sizes.hot_slots;
  header.incident_slots = sizes.incident_slots;
  header.hot_text_bytes = sizes.hot_text_bytes;
  header.incident_text_bytes = sizes.incident_text_bytes;
  header.clock_kind = static_cast<uint32_t>(clock_kind());
  header.role = static_cast<uint32_t>(spec.role);
  header.rank = spec.rank;
  header.world_size = spec.world_size;
  header.worker = spec.worker;
  header.generation = spec.generation;
  header.pid = getpid();
  header.tid = static_cast<int32_t>(syscall(SYS_gettid));
  header.pid_start_ticks = process_state(getpid()).start_ticks;
  header.pid_namespace = pid_namespace();
  header.ticks_per_second = ticks_per_second();
  copy_text(header.boot_id, sizeof header.boot_id, boot_id());
  utsname names{};
  uname(&names);
  copy_text(header.host, sizeof header.host, names.nodename);
}

}  // namespace

std::string file_name(const WriterSpec& spec) {
  if (spec.role == Role::kLaunch) return "launch.b71";
  std::string base = "rank" + std::to_string(spec.rank) + "." + std::string(name(spec.role));
  if (spec.role == Role::kWorker) {
    base += std::to_string(spec.worker) + ".g" + std::to_string(spec.generation);
  }
  return base + ".b71";
}

Writer::Writer() = default;
Writer::~Writer() = default;

Writer::Writer(const std::string& run_folder, const WriterSpec& spec) {
  if (run_folder.empty()) return;
  path_ = run_folder + "/" + file_name(spec);
  const std::array<Sizes, 2> attempts{normal_sizes(spec.hot_slots), kSmallSizes};
  for (const Sizes& sizes : attempts) {
    try {
      if (&sizes == &attempts.front()) refuse_if_cramped(run_folder, sizes);
      mapping_ = std::make_unique<Mapping>(path_, sizes);
      break;
    } catch (const std::exception& refused) {
      problem_ = "trace file " + path_ + " of " + std::to_string(sizes.total_bytes() >> 10) +
                 " KiB refused: " + refused.what();
    }
  }
  if (mapping_ == nullptr) {
    std::fprintf(stderr, "warning: %s; this thread is not traced\n", problem_.c_str());
    return;
  }
  fill_header(mapping_->header(), spec, mapping_->sizes());
  clock_kind_ = clock_kind();
  hot_ = mapping_->hot();
  hot_mask_ = mapping_->sizes().hot_slots - 1;
  anchor();
  // The magic comes last: a file without it was never finished.
  __atomic_store_n(&mapping_->header().magic, kMagic, __ATOMIC_RELEASE);
  if (!problem_.empty()) {
    std::fprintf(stderr, "warning: %s; a smaller one is used\n", problem_.c_str());
    incident(Event::kTracingReduced, Stage::kSetup, problem_);
  }
}

void Writer::record_text(Event event, Stage stage, std::string_view text, int64_t arg0,
                         int64_t arg1) {
  if (hot_ == nullptr) return;
  store_hot(event, stage, arg0, arg1, mapping_->hot_text().append(text));
}

void Writer::incident_at(const Place& place, Event event, Stage stage, std::string_view text,
                         int64_t arg0, int64_t arg1) {
  if (hot_ == nullptr) return;
  anchor();
  const bool yields = is_flood_prone(event);
  const uint64_t slots = mapping_->sizes().incident_slots - (yields ? kReservedIncidents : 0);
  uint64_t& lost = mapping_->header().incidents_lost;
  if (mapping_->incident_sequence >= slots) {
    __atomic_store_n(&lost, lost + 1, __ATOMIC_RELAXED);
    return;
  }
  uint32_t stamp = 0;
  if (!text.empty()) {
    stamp = mapping_->incident_text().append(text, yields ? kReservedTextBytes : 0);
    if (stamp == 0) __atomic_store_n(&lost, lost + 1, __ATOMIC_RELAXED);
  }
  const uint64_t sequence = ++mapping_->incident_sequence;
  store(mapping_->incidents()[sequence - 1], sequence, place, event, stage, arg0, arg1, stamp,
        item_start_ticks_);
}

void Writer::anchor() {
  if (mapping_ == nullptr) return;
  const uint64_t sequence = ++mapping_->anchor_sequence;
  const size_t slot = sequence == 1 ? 0 : 1 + (sequence - 2) % (kAnchorSlots - 1);
  Anchor& anchor = mapping_->header().anchors[slot];
  __atomic_store_n(&anchor.sequence, uint64_t{0}, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
  anchor.ticks = ticks(clock_kind_);
  anchor.monotonic_ns = monotonic_ns();
  anchor.realtime_ns = clock_ns(CLOCK_REALTIME);
  __atomic_store_n(&anchor.sequence, sequence, __ATOMIC_RELEASE);
}

}  // namespace batch71::trace
