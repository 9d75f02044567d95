// The words of each event: those of the guide where it has them, the same style elsewhere.
#include <fmt/format.h>

#include <bit>

#include "diagnose/evidence.h"
#include "diagnose/log.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Event;
using trace::Role;
using trace::WriterId;

double as_double(int64_t bits) { return std::bit_cast<double>(bits); }

std::string indented(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "    ";
  }
  return out;
}

std::string item(const Entry& entry) {
  return entry.index < 0 ? "" : fmt::format(", index={}", entry.index);
}

std::string item_words(const Entry& entry) {
  switch (entry.event) {
    case Event::kGetitemCalled: return fmt::format("__getitem__({}) called", entry.index);
    case Event::kAudioOpening:
      return fmt::format("Loading audio from {}{}", entry.text, item(entry));
    case Event::kAudioReading:
      // Before the header is read nobody knows how many frames there are.
      if (entry.arg0 == 0) return "Reading the header" + item(entry);
      return fmt::format("Reading audio, frames={}{}", entry.arg0, item(entry));
    case Event::kAudioLoaded:
      return fmt::format("Audio loaded, shape=({}, {}){}", entry.arg0, entry.arg1, item(entry));
    case Event::kResampling:
      return fmt::format("Resampling from {} Hz to {} Hz{}", entry.arg0, entry.arg1, item(entry));
    case Event::kNoiseOpening:
      return fmt::format("Loading noise from {}{}", entry.text, item(entry));
    case Event::kNoiseReading:
      return entry.arg0 == 0 ? "Reading the header of the noise" + item(entry)
                             : fmt::format("Reading noise, frames={}{}", entry.arg0, item(entry));
    case Event::kNoiseMixed:
      return fmt::format("Noise mixed, snr={:.3f} dB, samples={}{}",
                         static_cast<double>(entry.arg0) / 1000, entry.arg1, item(entry));
    case Event::kFeaturizing: return "Featurizing" + item(entry);
    case Event::kItemDone:
      return fmt::format("__getitem__({}) done, frames={}", entry.index, entry.arg0);
    case Event::kItemFailed:
      return fmt::format("__getitem__({}) FAILED: {}", entry.index, entry.text);
    case Event::kQueueWaiting: return "Waiting for work";
    default: return "";
  }
}

std::string step_words(const Entry& entry) {
  const int32_t batch = entry.batch;
  switch (entry.event) {
    case Event::kStarting: return "Starting";
    case Event::kStepStarted:
      return fmt::format("Training step {} STARTED, epoch={}", batch, entry.epoch);
    case Event::kFetching: return fmt::format("Batch {} fetching...", batch);
    case Event::kFetched:
      return fmt::format("Batch {} fetched, items={}, dummies={}", batch, entry.arg0, entry.arg1);
    case Event::kAgreeing:
      if (entry.arg0 == 2) return "Agreeing with the other ranks on where to begin...";
      return entry.arg0 == 0 ? fmt::format("Epoch {} agreeing with the other ranks...", entry.epoch)
                             : fmt::format("Batch {} agreeing with the other ranks...", batch);
    case Event::kAgreed:  // a number has only what was agreed on within an epoch
      if (batch >= 0) return fmt::format("Batch {} agreed", batch);
      return entry.epoch < 0 ? "Agreed" : fmt::format("Epoch {} agreed", entry.epoch);
    case Event::kForwardCalled: return fmt::format("Batch {} calling forward...", batch);
    case Event::kForwardDone:
      return fmt::format("Batch {} forward completed, computing loss...", batch);
    case Event::kLossDone:
      return fmt::format("Batch {} loss computed, loss={:.4f}", batch, as_double(entry.arg0));
    case Event::kBackwardCalled: return fmt::format("Batch {} calling backward...", batch);
    case Event::kAllreduceStarted:
      return fmt::format("Batch {} all-reduce started, bytes={}", batch, entry.arg0);
    case Event::kAllreduceDone: return fmt::format("Batch {} all-reduce completed", batch);
    case Event::kOptimizerCalled: return fmt::format("Batch {} calling optimizer...", batch);
    case Event::kStepDone:
      return fmt::format("Training step {} DONE, loss={:.4f}, valid={}", batch,
                         as_double(entry.arg0), entry.arg1);
    case Event::kCheckpointing: return fmt::format("Saving checkpoint, steps={}...", entry.arg0);
    case Event::kCheckpointed:
      return fmt::format("Checkpoint saved, steps={}, bytes={}", entry.arg0, entry.arg1);
    default: return "";
  }
}

std::string incident_words(const Entry& entry) {
  switch (entry.event) {
    case Event::kSettings: return "Setting up DataLoader with DDP: " + entry.text;
    case Event::kLoaderCreated: return "DataLoader created: " + entry.text;
    case Event::kWorkerSpawned:
      return fmt::format("Worker {} started, pid={}", entry.arg1 >> 16, entry.arg0);
    case Event::kWorkerExited:
      return fmt::format("Worker {} ended, {}{}", entry.arg1 >> 16,
                         describe_wait_status(static_cast<int>(entry.arg0)), item(entry));
    case Event::kObservation: return fmt::format("Observed{}: {}", item(entry), entry.text);
    case Event::kKilledByWatch:
      return fmt::format("Worker {} killed by the watch, pid={}{}", entry.arg1 >> 16, entry.arg0,
                         item(entry));
    case Event::kUnkillable:
      return fmt::format("Worker {} outlived SIGKILL, pid={}{}", entry.arg1 >> 16, entry.arg0,
                         item(entry));
    case Event::kDummy:
      return fmt::format("DUMMY{} in {}: {}", item(entry), name(entry.stage), entry.text);
    case Event::kError: return fmt::format("ERROR{}: {}", item(entry), entry.text);
    case Event::kRankEnded:
      return fmt::format("Rank {} {}", entry.arg1,
                         describe_wait_status(static_cast<int>(entry.arg0)));
    case Event::kRankStarted: return fmt::format("Rank {} started, pid={}", entry.arg1, entry.arg0);
    case Event::kEnding: return fmt::format("ENDING with code {}: {}", entry.arg0, entry.text);
    case Event::kDone: return fmt::format("DONE, dummies={}", entry.arg0);
    case Event::kWarning: return "WARNING: " + entry.text;
    case Event::kPadded: return fmt::format("Padded, batches repeated={}", entry.arg0);
    case Event::kDropped: return fmt::format("Dropped, samples left out={}", entry.arg0);
    case Event::kJoined:
      return fmt::format("Goes on with shadow batches after {} of its own: {}", entry.arg0,
                         entry.text);
    case Event::kResumed: return "Resumed: " + entry.text;
    case Event::kBeat: return "";
    default: return fmt::format("{}: {}", name(entry.event), entry.text);
  }
}

std::string speaker(const WriterId& writer) {
  return writer.role == Role::kLaunch ? "[Launch] " : fmt::format("[Rank {}] ", writer.rank);
}

}  // namespace

std::string log_line(const WriterId& writer, const Entry& entry) {
  std::string words = item_words(entry);
  if (words.empty()) words = step_words(entry);
  if (words.empty()) words = incident_words(entry);
  return words.empty() ? "" : speaker(writer) + indented(words);
}

}  // namespace batch71::diagnose
