// Keeps the list of free mailboxes.
#include "loader/mailboxes.h"

#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <new>

namespace batch71::loader {

Mailboxes::Mailboxes(int count)
    : memory_(boost::interprocess::anonymous_shared_memory(static_cast<size_t>(count) *
                                                           sizeof(Mailbox))) {
  for (int mailbox = count - 1; mailbox >= 0; --mailbox) {
    new (&at(mailbox)) Mailbox;
    free_.push_back(mailbox);
  }
}

int Mailboxes::open() {
  if (free_.empty()) return -1;
  const int mailbox = free_.back();
  free_.pop_back();
  at(mailbox).clear();
  return mailbox;
}

}  // namespace batch71::loader
