// The ways in which injectors strike.
#include "faults/injection.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "launch/process.h"

namespace batch71::faults {
namespace {

namespace fs = std::filesystem;

launch::HelperSpec corpusfs(const Site& site, const std::vector<std::string>& mode) {
  launch::HelperSpec helper;
  helper.name = "files";
  helper.argv = {launch::sibling_program("corpusfs"), "--strikes", site.strike_log};
  helper.argv.insert(helper.argv.end(), mode.begin(), mode.end());
  return helper;
}

std::string write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  if (!out.flush()) throw std::runtime_error(path + ": cannot be written");
  return path;
}

std::string write_json(const std::string& path, const nlohmann::json& value) {
  return write_file(path, value.dump() + "\n");
}

Injection user_code(const Site& site, nlohmann::json at, UserDeed deed) {
  at["rank"] = site.where.rank;
  at["epoch"] = site.where.epoch;
  at["do"] = static_cast<int>(deed);
  at["log"] = site.strike_log;
  at["once"] = site.case_folder + "/once";
  Injection injection;
  injection.env["USER_HOOKS"] = write_json(site.case_folder + "/hooks.json", at);
  return injection;
}

Injection beside_the_job(launch::HelperSpec helper) {
  Injection injection;
  injection.helpers.push_back(std::move(helper));
  return injection;
}

}  // namespace

Injection watch_open(const Site& site, const std::string& path) {
  return beside_the_job(corpusfs(site, {"--watch-open", path}));
}

Injection serve_corpus(const Site& site, std::string_view op, std::string_view action) {
  const std::string rules = write_json(
      site.case_folder + "/rules.json",
      {{{"path", fs::path(site.seen_file).lexically_relative(site.corpus_folder).string()},
        {"op", op},
        {"action", action},
        {"after_opens", site.earlier_uses}}});
  return beside_the_job(corpusfs(site, {"--folder", site.corpus_folder, "--rules", rules}));
}

Injection leave_little_room(const Site& site) {
  constexpr int64_t kRoomOfRankBytes = int64_t{1} << 20;
  const std::string room_bytes = std::to_string(site.world_size * kRoomOfRankBytes);
  return beside_the_job(corpusfs(
      site, {"--cramped", site.run_folder, "--room-bytes", room_bytes, "--full", "/dev/shm"}));
}

Injection give_own_settings(const Site& site, std::map<std::string, std::string> settings) {
  Injection injection = watch_open(site, site.own_config);
  injection.own_settings = std::move(settings);
  return injection;
}

Injection start_by_script(const Site& site, const std::string& script) {
  const std::string path = site.case_folder + "/start.sh";
  const std::string struck = write_file(site.case_folder + "/struck", "");
  Injection injection = watch_open(site, struck);
  injection.env["STRUCK"] = struck;
  injection.wrapper = {"sh", write_file(path, script)};
  return injection;
}

Injection featurizer_does(const Site& site, UserDeed deed) {
  return user_code(site, {{"at", "featurizer"}, {"indices", {site.where.index}}}, deed);
}

Injection stale_featurizer_does(const Site& site, UserDeed deed) {
  return user_code(
      site, {{"at", "featurizer"}, {"indices", site.struck_batch}, {"from_table", true}}, deed);
}

Injection featurizer_goes_on(const Site& site, UserDeed deed) {
  return user_code(site, {{"at", "featurizer"}, {"indices", site.from_batch_on}, {"goes_on", true}},
                   deed);
}

Injection featurizer_takes_held_lock(const Site& site) {
  return user_code(
      site,
      {{"at", "featurizer"}, {"indices", {site.where.index}}, {"held", site.case_folder + "/held"}},
      UserDeed::kTakeLock);
}

Injection forward_does(const Site& site, UserDeed deed) {
  return user_code(site, {{"at", "forward"}, {"batch", site.where.batch}}, deed);
}

Injection loss_does(const Site& site, UserDeed deed) {
  return user_code(site, {{"at", "loss"}, {"batch", site.where.batch}}, deed);
}

Injection backward_does(const Site& site, UserDeed deed) {
  return user_code(site, {{"at", "backward"}, {"batch", site.where.batch}}, deed);
}

}  // namespace batch71::faults
