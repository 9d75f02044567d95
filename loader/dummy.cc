// Makes dummy items.
#include "loader/dummy.h"

#include <algorithm>

#include "loader/hash.h"
#include "trace/writer.h"

namespace batch71::loader {
namespace {

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

}  // namespace

void fill_dummy(const FeatureView& out, const ItemId& id) {
  uint64_t state =
      mix(mix(mix(id.seed) + static_cast<uint64_t>(id.epoch)) + static_cast<uint64_t>(id.index));
  for (int64_t channel = 0; channel < out.channels; ++channel) {
    for (int64_t frame = 0; frame < out.frames; ++frame) {
      const auto bits = static_cast<uint32_t>(mix(state++) >> 40);  // 24 bits: exact as float
      out.data[channel * out.row_stride + frame] =
          0.2f * (static_cast<float>(bits) / 16777216.0f - 0.5f);
    }
  }
  zero_tail(out, out.frames);
}

void DummyMaker::make(BatchWork& work, size_t position, const BadNews& news, trace::Writer& trace) {
  Item& item = work.items[position];
  const ItemId id{item.index, work.epoch, work.batch, seed_};
  fill_dummy(shape_.view(slots_.data(work.slot), work, position), id);
  item.frames = item.declared_frames;
  item.state = ItemState::kDummy;
  --work.unfinished;
  DummyItem dummy;
  dummy.index = item.index;
  dummy.position = static_cast<int>(position);
  dummy.reason = news.reason;
  dummy.file = dataset_.file(item.index);
  dummy.why = one_line(news.why);
  if (news.stage == trace::Stage::kNoiseMix && noise_ != nullptr) {
    dummy.why += "; noise for " + dummy.file;
    dummy.file = noise_->file(id);
  }
  std::string text = "reason=" + std::string(name(news.reason));
  if (news.worker_since_epoch >= 0) {
    text += " worker_since_epoch=" + std::to_string(news.worker_since_epoch);
  }
  text += " file=" + dummy.file + " why=" + dummy.why;
  trace.incident_at({work.epoch, work.batch, item.index}, trace::Event::kDummy, news.stage, text,
                    static_cast<int64_t>(news.reason), news.worker_code);
  work.dummies.push_back(std::move(dummy));
  ++total_;
}

}  // namespace batch71::loader
