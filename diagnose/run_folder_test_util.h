// A run folder as ranks, watches, workers and launch would write it, for tests.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diagnose/diagnose.h"
#include "trace/record_abi.h"
#include "trace/writer.h"

namespace batch71::diagnose {

class RunFolderBuilder {
 public:
  explicit RunFolderBuilder(int world_size = 2) : world_size_(world_size) {
    static std::atomic<int> counter{0};
    path_ = std::filesystem::temp_directory_path() /
            ("batch71-diagnose-test-" + std::to_string(getpid()) + "-" + std::to_string(++counter));
    std::filesystem::create_directory(path_);
  }
  ~RunFolderBuilder() { std::filesystem::remove_all(path_); }
  RunFolderBuilder(const RunFolderBuilder&) = delete;
  RunFolderBuilder& operator=(const RunFolderBuilder&) = delete;

  std::string path() const { return path_; }
  trace::Writer& main(int rank) { return writer({trace::Role::kMain, rank}); }
  trace::Writer& loader_watch(int rank) { return writer({trace::Role::kLoaderWatch, rank}); }
  trace::Writer& step_watch(int rank) { return writer({trace::Role::kStepWatch, rank}); }
  trace::Writer& launch() { return writer({trace::Role::kLaunch}); }
  trace::Writer& worker(int rank, int worker, int generation = 0) {
    return writer({trace::Role::kWorker, rank, 0, worker, generation});
  }

  // Makes everything that this writer wrote so far older, as if it had stood still since.
  void make_older(trace::Writer& writer, int seconds) const {
    std::fstream file(writer.path(), std::ios::in | std::ios::out | std::ios::binary);
    trace::FileHeader header{};
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    const uint64_t shift = header.ticks_per_second * static_cast<uint64_t>(seconds);
    for (uint32_t i = 0; i < header.hot_slots + header.incident_slots; ++i) {
      const auto at = static_cast<std::streamoff>(trace::kHeaderBytes + i * sizeof(trace::Record));
      trace::Record record{};
      file.seekg(at);
      file.read(reinterpret_cast<char*>(&record), sizeof record);
      if (record.sequence == 0) continue;
      record.ticks -= shift;
      record.item_start_ticks -= shift;
      file.seekp(at);
      file.write(reinterpret_cast<const char*>(&record), sizeof record);
    }
  }

  trace::RunTrace read() const { return trace::read_run(path_); }
  Diagnosis diagnose() const { return diagnose::diagnose(read()); }

 private:
  trace::Writer& writer(trace::WriterSpec spec) {
    if (spec.role != trace::Role::kLaunch) spec.world_size = world_size_;
    spec.hot_slots = 64;
    auto& slot = writers_[trace::file_name(spec)];
    if (slot == nullptr) slot = std::make_unique<trace::Writer>(path_, spec);
    return *slot;
  }

  int world_size_;
  std::string path_;
  std::map<std::string, std::unique_ptr<trace::Writer>> writers_;
};

}  // namespace batch71::diagnose
