// All mailboxes of a rank: one shared mapping, made before the zygote is forked.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <vector>

#include "loader/mailbox.h"

namespace batch71::loader {

class Mailboxes {
 public:
  explicit Mailboxes(int count);

  // A cleared one that is nobody's; -1: none is left.
  int open();
  // Its worker is gone for good.
  void free(int mailbox) { free_.push_back(mailbox); }
  Mailbox& at(int mailbox) const { return static_cast<Mailbox*>(memory_.get_address())[mailbox]; }

 private:
  boost::interprocess::mapped_region memory_;
  std::vector<int> free_;
};

}  // namespace batch71::loader
