// What the threads of one loader share. Lives until the last of them, and the last batch, is gone.
#pragma once

#include <atomic>
#include <memory>

#include "loader/batch_work.h"
#include "loader/bell.h"
#include "loader/delivery.h"
#include "loader/dummy.h"
#include "loader/loader.h"
#include "loader/noise.h"
#include "loader/slots.h"

namespace batch71::loader {

struct LoaderParts {
  explicit LoaderParts(LoaderSpec with)
      : spec(std::move(with)),
        dataset(spec.dataset()),
        featurizer(spec.featurizer()),
        noise(noise_plan(spec.config.train_ds)),
        shape(*dataset, *featurizer, spec.config.train_ds.sample_rate,
              spec.config.train_ds.batch_size),
        bell(std::make_shared<Bell>()),
        slots(std::make_shared<Slots>(batches_in_flight(), shape.slot_bytes(), bell)),
        dummies(*dataset, noise.get(), shape, *slots,
                static_cast<uint64_t>(spec.config.train_ds.seed)),
        delivery(bell) {}

  int batches_in_flight() const {
    return spec.config.train_ds.num_workers * spec.config.train_ds.prefetch_factor;
  }
  uint64_t item_deadline_ns() const {
    return uint64_t{1'000'000} * spec.config.guards.item_deadline_ms;
  }
  // Reports the first one, and only that, to the program; then main's waits end.
  void fatal(const Fatal& fatal) {
    if (failed.exchange(true)) return;
    if (spec.on_fatal) spec.on_fatal(fatal);
    delivery.fail(fatal);
  }

  LoaderSpec spec;
  std::unique_ptr<Dataset> dataset;
  std::unique_ptr<Featurizer> featurizer;
  std::shared_ptr<const NoisePlan> noise;  // nullptr: none
  BatchShape shape;
  std::shared_ptr<Bell> bell;
  std::shared_ptr<Slots> slots;
  DummyMaker dummies;
  Delivery delivery;
  std::atomic<bool> failed{false};
};

}  // namespace batch71::loader
