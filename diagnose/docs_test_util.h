// Holds a part of a document against what the code says; rewrites it on demand.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace batch71::diagnose {

// Compares what stands between "<!-- generated: NAME -->" and "<!-- end -->" of docs/FILE with
// `wanted`. With BATCH71_UPDATE_DOCS set it writes `wanted` there instead.
inline void expect_documented(const std::string& file, const std::string& name,
                              const std::string& wanted) {
  const std::string path = BATCH71_DOCS "/" + file;
  std::ifstream in(path);
  std::string document{std::istreambuf_iterator<char>(in), {}};
  const std::string begin = "<!-- generated: " + name + " -->\n";
  const size_t from = document.find(begin);
  ASSERT_NE(from, std::string::npos) << path << " has no part " << begin;
  const size_t at = from + begin.size();
  const size_t end = document.find("<!-- end -->", at);
  ASSERT_NE(end, std::string::npos) << path << " does not end its part " << name;
  if (std::getenv("BATCH71_UPDATE_DOCS") != nullptr) {
    document.replace(at, end - at, wanted);
    std::ofstream(path) << document;
    return;
  }
  EXPECT_EQ(document.substr(at, end - at), wanted)
      << path << " is out of date: run this test once with BATCH71_UPDATE_DOCS=1";
}

}  // namespace batch71::diagnose
