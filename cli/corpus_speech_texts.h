// What stands in a speech corpus beside its audio: the config and the notice of the licences.
#pragma once

namespace batch71::cli {

// The manifest's quoted path goes between these two.
inline constexpr const char* kTrainYamlHead =
    R"(# Tells the language of a telephone prompt. Made by `batch71 corpus speech`.
train_ds:
  manifest_filepath: )";

inline constexpr const char* kTrainYamlTail = R"(
  batch_size: 8
  num_workers: 2
  persistent_workers: true
  shuffle: true
  seed: 71
  sample_rate: 8000    # the prompts' own: nothing is resampled
  max_duration: 30.0   # leaves 2,816 of 2,830 prompts: 88 full batches on each of 4 ranks
  features: log_mel
  n_mels: 40
  n_fft: 256
  win_length: 200      # 25 ms
  hop_length: 80       # 10 ms

guards:
  item_deadline_ms: 5000
  step_deadline_ms: 30000
  collective_deadline_ms: 30000
  observe_after_ms: 2000
  error_budget: 20

trainer:
  max_epochs: 1
  lr: 0.05
)";

inline constexpr const char* kNotice =
    R"(The recordings in this folder are the prompts of the Asterisk core sounds 1.6.1, unchanged, as Debian
ships them in asterisk-core-sounds-{en,es,fr,it,ru}-wav (http://downloads.asterisk.org/pub/telephony/).

en, es  Copyright 2003-2010 Allison Smith (http://www.theivrvoice.com)       CC-BY-SA-3.0
fr      Copyright 2006-2008 June Wallack (http://www.junewallack.com)        CC-BY-SA-3.0
it      Copyright 2012 Carlo Flora (http://www.segreterietelefoniche.it)     CC-BY-3.0
ru      Copyright 2010 Maxim, provided by Maxim Topal (http://www.ivrvoice.ru)  CC-BY-3.0

CC-BY-SA-3.0: https://creativecommons.org/licenses/by-sa/3.0/
CC-BY-3.0:    https://creativecommons.org/licenses/by/3.0/
The whole texts: /usr/share/doc/asterisk-core-sounds-en-wav/copyright
train.json and train.yaml are made from the recordings' names and headers.
)";

}  // namespace batch71::cli
