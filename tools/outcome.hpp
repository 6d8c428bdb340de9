// Waits for the outcome of a call of mpr::client::Client by running its event loop: for tools that
// do one thing after the other. The client's own time limits end every call.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <mpr/client.hpp>
#include <optional>
#include <utility>

#include "base/error.hpp"

namespace mpr {

// `start` is given the callback of the call. Fails with `unavailable` and the text of its error.
template <class T, class Start>
Result<T> outcome_of(boost::asio::io_context& io, Start start) {
  const auto outcome = std::make_shared<std::optional<client::Outcome<T>>>();
  start([outcome](client::Outcome<T> got) { *outcome = std::move(got); });
  if (io.stopped()) io.restart();
  while (!*outcome && io.run_one() > 0) {
  }
  if (!*outcome) return fail(Errc::unavailable, "stopped before the answer");
  if (!**outcome) return fail(Errc::unavailable, (*outcome)->error().text());
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(***outcome);
  }
}

}  // namespace mpr
