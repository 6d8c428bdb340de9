#include "core/push_policy.hpp"

namespace mpr {

PushPolicy::Outcome PushPolicy::on_message(bool live_anywhere,
                                           std::optional<PushWindow> window_state,
                                           TimePoint now) const {
  const bool window_runs = window_state && now < window_state->began + window;
  if (live_anywhere) return {PushDecision::none, window_runs ? window_state : std::nullopt};
  if (!window_runs) return {PushDecision::now, PushWindow{now, false}};
  if (window_state->trailing) return {PushDecision::none, window_state};
  return {PushDecision::at_window_end, PushWindow{window_state->began, true}};
}

PushPolicy::Outcome PushPolicy::on_window_end(PushWindow window_state, bool live_anywhere,
                                              bool pending, TimePoint now) const {
  if (!window_state.trailing || live_anywhere || !pending)
    return {PushDecision::none, std::nullopt};
  return {PushDecision::now, PushWindow{now, false}};
}

}  // namespace mpr
