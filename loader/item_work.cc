// Works on items.
#include "loader/item_work.h"

#include <cxxabi.h>

#include "loader/batch_work.h"
#include "loader/finite.h"
#include "loader/throw_stack.h"
#include "trace/writer.h"

namespace batch71::loader {

using trace::Event;
using trace::Stage;

int64_t ItemWork::fill(const ItemId& id, FeatureView out) {
  Waveform waveform = dataset_.load(id.index, trace_);
  const int64_t frames = featurizer_.frames(static_cast<int64_t>(waveform.samples.size()));
  if (waveform.samples.empty() || frames < 1) {
    throw ItemError(BadItem::kTruncated, dataset_.file(id.index), "no samples");
  }
  if (frames > out.frames) {
    throw ItemError(BadItem::kTooLong, dataset_.file(id.index),
                    std::to_string(frames) + " frames, declared are " + std::to_string(out.frames));
  }
  if (noise_ != nullptr) noise_->mix(id, waveform, trace_);
  trace_.record(Event::kFeaturizing, Stage::kFeaturize);
  out.frames = frames;
  featurizer_.process(waveform, id, out);
  if (finite_check_ == FiniteCheck::kReject) {
    for (int64_t channel = 0; channel < out.channels; ++channel) {
      if (all_finite(out.data + channel * out.row_stride, static_cast<size_t>(frames))) continue;
      throw ItemError(BadItem::kNotFinite, dataset_.file(id.index), "NaN or infinite features");
    }
  }
  zero_tail(out, frames);
  return frames;
}

ItemOutcome ItemWork::process(const ItemId& id, FeatureView out) {
  trace_.begin({id.epoch, id.batch, id.index});
  trace_.record(Event::kGetitemCalled, Stage::kGetitem);
  const ThrowStackScope scope;
  try {
    ItemOutcome outcome;
    outcome.frames = fill(id, out);
    outcome.done = true;
    trace_.record(Event::kItemDone, Stage::kGetitem, outcome.frames);
    return outcome;
  } catch (const ItemError& error) {
    return failed(error.reason(), error.what());
  } catch (const abi::__forced_unwind&) {
    throw;  // a thread that is being cancelled must go on unwinding
  } catch (const std::exception& error) {
    return threw(error.what());
  } catch (...) {
    return threw("something that is no std::exception");
  }
}

ItemOutcome ItemWork::failed(BadItem reason, const std::string& why) {
  ItemOutcome outcome;
  outcome.reason = reason;
  outcome.stage = trace_.stage();
  outcome.why = why;
  trace_.record_text(Event::kItemFailed, outcome.stage, why);
  return outcome;
}

ItemOutcome ItemWork::threw(const std::string& what) {
  trace_.incident(Event::kError, trace_.stage(), what + "\n" + last_throw_stack());
  return failed(BadItem::kThrew, what);
}

}  // namespace batch71::loader
