// What a worker answers is not believed: it decodes files that others made.
#include "loader/remote_worker.h"

#include <gtest/gtest.h>

#include <string>

namespace batch71::loader {
namespace {

constexpr int kGeneration = 3;
constexpr int64_t kDeclaredFrames = 20;

// What the rank makes of an answer to its only request.
Answer taken_from(const Answer& answer, bool is_abandoned = false) {
  Mailbox mailbox;
  mailbox.clear();
  BatchWork work;
  work.items.push_back({7, kDeclaredFrames});
  work.abandoned = is_abandoned;
  RemoteWorker worker({0, kGeneration, 0}, mailbox, 1);
  worker.push({&work, 0, 0}, {}, 1);
  mailbox.put(answer, Bell());
  const std::vector<RemoteWorker::Answered> all = worker.collect(2);
  EXPECT_EQ(all.size(), 1u);
  return all.at(0).answer;
}

Answer answer_of(AnswerKind kind) {
  Answer answer;
  answer.generation = kGeneration;
  answer.kind = kind;
  answer.frames = kind == AnswerKind::kDone ? kDeclaredFrames : 0;
  answer.reason = static_cast<uint16_t>(BadItem::kTruncated);
  return answer;
}

TEST(RemoteWorker, WhatMakesSenseIsTaken) {
  EXPECT_EQ(taken_from(answer_of(AnswerKind::kDone)).frames, kDeclaredFrames);
  EXPECT_EQ(taken_from(answer_of(AnswerKind::kFailed)).reason,
            static_cast<uint16_t>(BadItem::kTruncated));
  EXPECT_EQ(taken_from(answer_of(AnswerKind::kSkipped), true).kind, AnswerKind::kSkipped);
}

TEST(RemoteWorker, AnAnswerWithoutSenseIsABadItem) {
  const auto expect_bad = [](const std::string& what, AnswerKind kind, auto spoil) {
    Answer answer = answer_of(kind);
    spoil(answer);
    const Answer taken = taken_from(answer);
    EXPECT_EQ(taken.kind, AnswerKind::kFailed) << what;
    EXPECT_EQ(taken.reason, static_cast<uint16_t>(BadItem::kThrew)) << what;
    EXPECT_STREQ(taken.why.data(), "the worker's answer makes no sense") << what;
  };
  const auto as_it_is = [](Answer&) {};
  using enum AnswerKind;
  expect_bad("no frames", kDone, [](Answer& answer) { answer.frames = 0; });
  expect_bad("more than fits", kDone, [](Answer& answer) { answer.frames = kDeclaredFrames + 1; });
  expect_bad("of another worker", kDone, [](Answer& answer) { answer.generation = 2; });
  expect_bad("to another request", kDone, [](Answer& answer) { answer.sequence = kMailboxDepth; });
  expect_bad("skipped, though it is wanted", kSkipped, as_it_is);
  expect_bad("no reason", kFailed, [](Answer& answer) { answer.reason = 0; });
  expect_bad("no known reason", kFailed, [](Answer& answer) { answer.reason = 71; });
  expect_bad("of no known kind", static_cast<AnswerKind>(71), as_it_is);
}

TEST(RemoteWorker, MoreAnswersThanRequestsAreNotTaken) {
  Mailbox mailbox;
  mailbox.clear();
  RemoteWorker worker({0, kGeneration, 0}, mailbox, 1);
  mailbox.put(answer_of(AnswerKind::kDone), Bell());
  EXPECT_TRUE(worker.collect(2).empty());
}

TEST(RemoteWorker, AReasonWithoutAnEndIsCut) {
  Answer answer = answer_of(AnswerKind::kFailed);
  answer.why.fill('x');
  EXPECT_EQ(taken_from(answer).why.back(), '\0');
}

}  // namespace
}  // namespace batch71::loader
