// The loop of a worker.
#include "loader/worker.h"

#include <unistd.h>

#include <algorithm>

#include "loader/batch_work.h"
#include "loader/item_work.h"
#include "trace/clock.h"
#include "trace/writer.h"

namespace batch71::loader {
namespace {

// A wait without work ends now and then; the rank's death is told by PR_SET_PDEATHSIG, not by this.
constexpr int kIdleWaitMs = 10'000;

class Worker {
 public:
  Worker(const ChildSetup& setup, const SpawnRequest& who, Dataset& dataset, NoiseMixer* noise,
         Featurizer& featurizer)
      : setup_(setup),
        mailbox_(setup.mailboxes.at(who.mailbox)),
        generation_(static_cast<uint32_t>(who.generation)),
        channels_(featurizer.channels()),
        trace_(setup.run_folder,
               {trace::Role::kWorker, setup.rank, setup.world_size, who.worker, who.generation}),
        work_(dataset, noise, featurizer, setup.config.guards.finite_check, trace_) {}

  [[noreturn]] void run() {
    for (uint32_t sequence = 0;;) {
      if (!mailbox_.has(sequence)) wait_begins();
      const std::optional<Request> request = mailbox_.take(sequence, kIdleWaitMs);
      if (!request) continue;
      mailbox_.put(answer(*request, sequence), setup_.bell);
      ++sequence;
    }
  }

 private:
  void wait_begins() {
    if (trace_.stage() == trace::Stage::kQueueWait) return;
    trace_.begin({});
    trace_.record(trace::Event::kQueueWaiting, trace::Stage::kQueueWait);
  }

  Answer answer(const Request& request, uint32_t sequence) {
    Answer answer;
    answer.sequence = sequence;
    answer.generation = generation_;
    if (mailbox_.is_live(request)) {
      work_on(request, answer);
    } else {
      answer.kind = AnswerKind::kSkipped;
    }
    answer.finished_ns = trace::monotonic_ns();
    return answer;
  }

  void work_on(const Request& request, Answer& answer) {
    const auto seed = static_cast<uint64_t>(setup_.config.train_ds.seed);
    const ItemId id{request.index, request.epoch, request.batch, seed};
    float* data = setup_.slots.data(0) + request.data_offset;
    const ItemOutcome outcome =
        work_.process(id, {data, channels_, request.frames, request.row_stride});
    answer.kind = outcome.done ? AnswerKind::kDone : AnswerKind::kFailed;
    answer.frames = outcome.frames;
    answer.reason = static_cast<uint16_t>(outcome.reason);
    answer.stage = static_cast<uint16_t>(outcome.stage);
    const size_t length = std::min(outcome.why.size(), answer.why.size() - 1);
    std::copy_n(outcome.why.begin(), length, answer.why.begin());
  }

  const ChildSetup& setup_;
  Mailbox& mailbox_;
  uint32_t generation_;
  int64_t channels_;
  trace::Writer trace_;
  ItemWork work_;
};

}  // namespace

void run_worker(const ChildSetup& setup, const SpawnRequest& who, Dataset& dataset,
                NoiseMixer* noise, Featurizer& featurizer) {
  Worker(setup, who, dataset, noise, featurizer).run();
}

}  // namespace batch71::loader
