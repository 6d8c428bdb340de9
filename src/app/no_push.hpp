// The PushSender of a build without push providers: what is due is counted by the pickup service
// (mpr_pushes_due_total) and sent to nobody. Stateless; any thread.
#pragma once

#include "core/ports.hpp"

namespace mpr {

class NoPush final : public PushSender {
 public:
  void enqueue(PushRequest) override {}
};

}  // namespace mpr
