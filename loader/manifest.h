// A NeMo manifest, read and checked once, in memory that every process of the rank shares.
//
// For: the rank, which compiles it before it forks; zygote and workers inherit the mapping. It lives
// in a sealed memfd, not on the heap: forks stay cheap, and no change to the file can reach a reader.
// Format read: JSON lines with `audio_filepath` (relative to the manifest's folder), `duration` in
// seconds, and, where they apply, `offset` in seconds and `label`. Other keys (`text`) are ignored.
// https://docs.nvidia.com/nemo-framework/user-guide/latest/nemotoolkit/asr/datasets.html
// Errors: UsageError with file:line.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace batch71::loader {

struct ManifestLimits {
  double min_duration_s = 0;
  double max_duration_s = 1e9;
  bool may_be_empty = false;  // a rank's shard: what that means is for all ranks to decide
};

class Manifest {
 public:
  // Entries outside of the limits are left out; their labels still count.
  Manifest(const std::string& path, const ManifestLimits& limits);

  int64_t size() const;
  std::string_view audio_path(int64_t index) const;
  double duration_s(int64_t index) const;
  // Where in the file the sample starts; has_offset: the entry is a segment of a longer file.
  double offset_s(int64_t index) const;
  bool has_offset(int64_t index) const;
  // Position in the sorted list of distinct labels of all entries, -1 for none.
  int64_t label(int64_t index) const;
  int64_t num_labels() const;
  // Digest of all entries in their order; of them in any order; of the labels alone, which must agree
  // even between shards.
  uint64_t digest() const;
  uint64_t contents_digest() const;
  uint64_t labels_digest() const;

 private:
  struct Header;
  struct Entry;
  const Header& header() const;
  const Entry& entry(int64_t index) const;

  boost::interprocess::mapped_region region_;
};

}  // namespace batch71::loader
