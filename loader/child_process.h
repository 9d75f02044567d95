// What a forked child does before anything else, and how processes are signalled and looked at.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "loader/unique_fd.h"

namespace batch71::loader {

// SIGKILL for this process when the thread that forked it ends; leaves at once if `parent` is gone.
void die_with_parent(pid_t parent);
// Default handlers, nothing blocked. SIGINT and SIGTERM are ignored: terminals and launchers send them to
// the whole process group, and they are the rank's to answer.
void reset_signals();
// Every descriptor above stderr that is not named here.
void close_descriptors_except(std::vector<int> keep);
// stdin from nowhere; stdout and stderr to the file, or nowhere if its name is empty.
void redirect_output(const std::string& path);
// Threads of this process.
int count_threads();
// A pidfd.
UniqueFd open_process(pid_t pid);
// By pidfd: the pid may be somebody else's by now. False if there is nobody.
bool kill_process(int pidfd);

}  // namespace batch71::loader
