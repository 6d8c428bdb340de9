// Which push providers this process can reach: reads their credential files and makes a sender for
// each. The only place that names every provider.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "base/error.hpp"
#include "core/ports.hpp"
#include "net/io_thread.hpp"
#include "push/notification_sender.hpp"

namespace mpr {

struct PushSenders {
  std::unique_ptr<NotificationSender> fcm;      // null: off
  std::unique_ptr<NotificationSender> apns;     // null: off
  std::unique_ptr<NotificationSender> webhook;  // null: off

  // Who sends to tokens of this kind: its own sender, or else the webhook; null: nobody.
  NotificationSender* of(PushProvider provider) const;
};

struct OpenedPushSenders {
  PushSenders senders;
  std::vector<std::string> notes;     // what is on and off, a sentence each
  std::vector<std::string> warnings;  // what is off although something was configured
};

// A file that is not there turns its sender off; one that is there and cannot be used is an error
// whose context names it. Thread and clock outlive the senders; the thread does not run yet.
Result<OpenedPushSenders> open_push_senders(const Settings& settings, IoThread& thread,
                                            Clock& clock);

}  // namespace mpr
