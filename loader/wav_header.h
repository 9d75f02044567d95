// What a WAV header claims, held against the file: libsndfile clamps such lies without a word.
//
// Format: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF WAVE);
// RF64: EBU Tech 3306. Measured behaviour of libsndfile 1.2.0 is the reason for each check.
#pragma once

#include <string>

#include "loader/file_window.h"

namespace batch71::loader {

// Throws ItemError: kTruncated if the data chunk is longer than what the file holds or ends inside a
// frame, kUnreadable if the format chunk contradicts itself. Other formats than WAV pass.
void check_wav_header(FileWindow& file, const std::string& path);

}  // namespace batch71::loader
