// Whether and when a phone is woken: a decision, nothing is sent from here. The first message for
// an offline phone pushes at once; those that follow within the window are covered by one push at
// its end, if something is still pending by then.
#pragma once

#include <chrono>
#include <optional>

#include "base/text.hpp"

namespace mpr {

enum class PushDecision {
  none,  // the phone is live, has no token, or a push at the window's end is already planned
  now,   // push at once; a window begins
  at_window_end,  // plan one push at the end of the running window
};

// The window of one token; kept by whoever sends (in memory, or in Redis for several gateways).
struct PushWindow {
  TimePoint began;
  bool trailing = false;  // a push at its end is planned

  bool operator==(const PushWindow&) const = default;
};

struct PushPolicy {
  std::chrono::milliseconds window{5000};

  struct Outcome {
    PushDecision decision = PushDecision::none;
    std::optional<PushWindow> next;  // the window's state after the decision

    bool operator==(const Outcome&) const = default;
  };

  // A message waits for a phone that has a push token.
  Outcome on_message(bool live_anywhere, std::optional<PushWindow> window_state,
                     TimePoint now) const;

  // The window is over. Pushes, and begins a new window, if a push was planned, something is still
  // pending and nobody is live.
  Outcome on_window_end(PushWindow window_state, bool live_anywhere, bool pending,
                        TimePoint now) const;
};

}  // namespace mpr
