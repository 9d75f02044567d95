// Walks the chunks of a WAV file up to its data.
#include "loader/wav_header.h"

#include <array>
#include <cstring>

#include "loader/dataset.h"

namespace batch71::loader {
namespace {

constexpr uint32_t kUnknownSize = 0xffff'ffffu;  // RF64: the size is in the ds64 chunk
constexpr uint16_t kPcm = 1;
constexpr uint16_t kFloat = 3;
constexpr uint16_t kExtensible = 0xfffe;
constexpr int kMostChunks = 10'000;

struct Format {
  uint16_t tag = 0;
  uint16_t channels = 0;
  uint16_t block_align = 0;
  uint16_t bits = 0;
};

template <typename Number>
Number number_at(const char* bytes) {
  Number value{};
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

class Walk {
 public:
  Walk(FileWindow& file, const std::string& path) : file_(file), path_(path) {}

  void check() {
    std::array<char, 12> head{};
    if (file_.read(0, head.data(), 12) != 12) return;  // libsndfile says what it is not
    const bool is_riff = std::memcmp(head.data(), "RIFF", 4) == 0;
    is_rf64_ = std::memcmp(head.data(), "RF64", 4) == 0;
    if (!(is_riff || is_rf64_) || std::memcmp(head.data() + 8, "WAVE", 4) != 0) return;
    int64_t at = 12;
    for (int chunk = 0; chunk < kMostChunks; ++chunk) {
      if (!next_chunk(at)) return;
    }
  }

 private:
  [[noreturn]] void refuse(BadItem reason, const std::string& what) const {
    throw ItemError(reason, path_, what);
  }

  // Looks at the chunk at `at` and moves on; false at the data chunk or the end.
  bool next_chunk(int64_t& at) {
    std::array<char, 8> head{};
    if (file_.read(at, head.data(), 8) != 8) return false;
    const auto size = number_at<uint32_t>(head.data() + 4);
    const int64_t body = at + 8;
    if (std::memcmp(head.data(), "fmt ", 4) == 0) read_format(body, size);
    if (std::memcmp(head.data(), "ds64", 4) == 0) read_ds64(body);
    if (std::memcmp(head.data(), "data", 4) == 0) {
      check_data(body, size);
      return false;
    }
    at = body + size + (size & 1u);
    return at < file_.size_bytes();
  }

  void read_format(int64_t at, uint32_t size) {
    std::array<char, 16> bytes{};
    if (size < 16 || file_.read(at, bytes.data(), 16) != 16) return;
    format_.tag = number_at<uint16_t>(bytes.data());
    format_.channels = number_at<uint16_t>(bytes.data() + 2);
    format_.block_align = number_at<uint16_t>(bytes.data() + 12);
    format_.bits = number_at<uint16_t>(bytes.data() + 14);
  }

  void read_ds64(int64_t at) {
    std::array<char, 16> bytes{};
    if (file_.read(at, bytes.data(), 16) == 16) long_size_ = number_at<uint64_t>(bytes.data() + 8);
  }

  void check_data(int64_t body, uint32_t size) const {
    const uint64_t declared = is_rf64_ && size == kUnknownSize ? long_size_ : size;
    const auto present = static_cast<uint64_t>(file_.size_bytes() - body);
    if (declared > present) {
      refuse(BadItem::kTruncated, "the header declares " + std::to_string(declared) +
                                      " bytes of audio, the file holds " + std::to_string(present));
    }
    const bool is_plain =
        format_.tag == kPcm || format_.tag == kFloat || format_.tag == kExtensible;
    const int frame_bytes = format_.channels * ((format_.bits + 7) / 8);
    if (is_plain && format_.block_align != frame_bytes) {
      refuse(BadItem::kUnreadable, "the header contradicts itself: frames of " +
                                       std::to_string(format_.block_align) + " bytes, samples of " +
                                       std::to_string(format_.bits) + " bits");
    }
    if (format_.block_align > 0 && declared % format_.block_align != 0) {
      refuse(BadItem::kTruncated, "the audio ends inside a frame");
    }
  }

  FileWindow& file_;
  const std::string& path_;
  bool is_rf64_ = false;
  uint64_t long_size_ = 0;
  Format format_;
};

}  // namespace

void check_wav_header(FileWindow& file, const std::string& path) { Walk(file, path).check(); }

}  // namespace batch71::loader
