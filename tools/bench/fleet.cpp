#include "tools/bench/fleet.hpp"

#include <string>

namespace mpr::bench {
namespace {

// The kernel's queue of connections that wait for accept() is short.
constexpr std::size_t kConnectsAtOnce = 64;
constexpr std::chrono::seconds kConnectPatience{60};

// Runs the loop until `done` says so or the time is up.
template <class Done>
bool run_until(boost::asio::io_context& io, std::chrono::seconds patience, Done done) {
  const auto until = std::chrono::steady_clock::now() + patience;
  if (io.stopped()) io.restart();
  while (!done()) {
    if (io.run_one_until(until) == 0) return done();
  }
  return true;
}

}  // namespace

struct Fleet::Opening {
  client::Url url;
  std::size_t wanted = 0;
  std::size_t opened = 0;
  std::optional<Error> error;
};

void Fleet::lose(const Error& error) {
  if (!lost_) lost_ = error;
  io_.stop();
}

void Fleet::open_next(const std::shared_ptr<Opening>& opening) {
  if (clients_.size() == opening->wanted || opening->error) return;
  clients_.push_back(
      std::make_unique<client::RpcClient>(io_, client::RpcClient::Options{.bearer_token = token_}));
  client::RpcClient& client = *clients_.back();
  client.on_close([this](const Error& error) { lose(error); });
  client.connect(opening->url, [this, opening](Result<void> connected) {
    ++opening->opened;
    if (!connected && !opening->error) opening->error = connected.error();
    open_next(opening);
  });
}

Result<void> Fleet::connect(const client::Url& url, std::size_t count) {
  const auto opening = std::make_shared<Opening>();
  opening->url = url;
  opening->opened = clients_.size();
  opening->wanted = clients_.size() + count;
  clients_.reserve(opening->wanted);
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) lose({Errc::unavailable, "interrupted by a signal"});
  });
  for (std::size_t i = 0; i < kConnectsAtOnce; ++i) open_next(opening);
  const bool done = run_until(io_, kConnectPatience, [&] {
    return opening->opened == opening->wanted || opening->error || lost();
  });
  if (opening->error) return std::unexpected(*opening->error);
  if (!done) return fail(Errc::deadline_exceeded, "not all sockets could connect in 60 s");
  return intact();
}

Result<void> Fleet::intact() const {
  if (lost_) return std::unexpected(*lost_);
  return {};
}

namespace {

// The state of one run_calls(). The callbacks refer to it: a run that ends early stops the loop for
// good, and the fleet's destruction drops them.
class CallRun : public std::enable_shared_from_this<CallRun> {
 public:
  CallRun(Fleet& fleet, const CallPlan& plan) : fleet_(fleet), plan_(plan) {}

  void issue() {
    if (next_ == plan_.count || error_) return;
    const std::uint64_t number = next_++;
    client::RpcClient& client = fleet_[static_cast<std::size_t>(number % fleet_.size())];
    client.call(plan_.method, plan_.params ? plan_.params(number) : std::string_view{},
                [self = shared_from_this(), number](const client::Answer& answer) {
                  self->answered(number, answer);
                });
  }
  bool over() const { return answered_ == plan_.count || error_ || fleet_.lost(); }
  const std::optional<Error>& error() const { return error_; }
  // From here on nothing is asked of the plan any more.
  void give_up() {
    if (!error_) error_ = Error{Errc::deadline_exceeded, "given up"};
  }

 private:
  void answered(std::uint64_t number, const client::Answer& answer) {
    ++answered_;
    if (error_) return;
    if (answer.kind != client::Answer::Kind::result) {
      error_ =
          Error{Errc::unavailable, std::string(plan_.method) + ": " + std::string(answer.text)};
      return;
    }
    const Result<void> checked = plan_.check ? plan_.check(number, answer.text) : Result<void>{};
    if (!checked) error_ = checked.error();
    issue();
  }

  Fleet& fleet_;
  const CallPlan plan_;
  std::uint64_t next_ = 0;
  std::uint64_t answered_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<void> run_calls(Fleet& fleet, const CallPlan& plan, std::chrono::seconds patience) {
  const auto run = std::make_shared<CallRun>(fleet, plan);
  for (std::uint64_t i = 0; i < plan.in_flight; ++i) run->issue();
  const bool done = run_until(fleet.io(), patience, [&] { return run->over(); });
  if (run->error()) return std::unexpected(*run->error());
  run->give_up();
  if (fleet.lost()) return fleet.intact();
  if (!done) {
    return fail(Errc::deadline_exceeded, std::string(plan.method) +
                                             ": not all calls were answered in " +
                                             std::to_string(patience.count()) + " s");
  }
  return {};
}

Result<void> expect_true(std::uint64_t number, std::string_view result) {
  if (result == "true") return {};
  return fail(Errc::internal,
              "call " + std::to_string(number) + " answered " + std::string(result) + ", not true");
}

}  // namespace mpr::bench
