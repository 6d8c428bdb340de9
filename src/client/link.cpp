#include "client/link.hpp"

#include "base/text.hpp"

namespace mpr::client {
namespace {

// The gateway's code for a missing or a wrong token.
constexpr std::string_view kUnauthorizedHead = R"({"code":401,)";

}  // namespace

Link::Link(boost::asio::io_context& io, Options options, Listener& listener, Journal& journal)
    : io_(io),
      options_(std::move(options)),
      listener_(listener),
      journal_(journal),
      policy_(options_.urls.size(), options_.times),
      timer_(io) {}

void Link::start() {
  running_ = true;
  schedule(policy_.first());
}

void Link::stop() {
  running_ = false;
  open_ = false;
  ++generation_;
  ++timer_turn_;
  timer_.cancel();
  if (connection_) connection_->close();
  connection_.reset();
}

void Link::abandon(const std::string& why) {
  if (running_ && connection_) ended(why);
}

void Link::send(std::string_view method, std::string_view params, RpcClient::AnswerHandler done) {
  if (!connection_) return;
  connection_->call(method, params,
                    [this, owner = owner_, generation = generation_,
                     done = std::move(done)](const Answer& answer) mutable {
                      const auto held = owner.lock();
                      if (!held || generation != generation_) return;
                      if (answer.kind != Answer::Kind::lost) heard_at_ = Clock::now();
                      done(answer);
                    });
}

// --- connecting ---------------------------------------------------------------------------------

void Link::schedule(ReconnectPolicy::Attempt attempt) {
  next_address_ = attempt.address;
  set_timer(attempt.delay, &Link::connect_scheduled);
}

void Link::connect(std::size_t address) {
  RpcClient::Options options;
  options.tls = options_.tls;
  options.server_name = options_.server_name;
  connection_ = std::make_unique<RpcClient>(io_, std::move(options));
  const std::uint64_t generation = ++generation_;
  connection_->on_event([this, owner = owner_, generation](const Event& event) {
    const auto held = owner.lock();
    if (!held || generation != generation_) return;
    heard_at_ = Clock::now();
    listener_.event(event);
  });
  connection_->on_close([this, owner = owner_, generation](const Error& error) {
    const auto held = owner.lock();
    if (held && generation == generation_) ended(error.context);
  });
  set_timer(options_.connect_timeout, &Link::give_attempt_up);
  connection_->connect(options_.urls[address],
                       [this, owner = owner_, generation](Result<void> outcome) {
                         const auto held = owner.lock();
                         if (held && generation == generation_) connected(std::move(outcome));
                       });
}

void Link::connected(Result<void> outcome) {
  if (!outcome) {
    const bool untrusted = connection_->certificate_refused();
    return ended(outcome.error().context, untrusted ? Refusal::untrusted : Refusal::none);
  }
  if (options_.token.empty()) return become_open();
  log_in();
}

void Link::log_in() {
  std::string params = R"({"token":)";
  append_json_string(params, options_.token);
  params += '}';
  send("rpc.login", params, [this](const Answer& answer) {
    switch (answer.kind) {
      case Answer::Kind::result:
        return become_open();
      case Answer::Kind::error:
        if (answer.text.starts_with(kUnauthorizedHead)) {
          return ended("the gateway refused the token", Refusal::unauthorized);
        }
        return ended("the gateway refused the login: " + std::string(answer.text));
      case Answer::Kind::lost:
        return;  // on_close tells
    }
  });
}

void Link::become_open() {
  open_ = true;
  opened_at_ = heard_at_ = asked_at_ = Clock::now();
  set_timer(options_.heartbeat / 2, &Link::check_pulse);
  journal_.note(LogLevel::info, "connected to " + address());
  listener_.opened();
}

// --- staying and ending -------------------------------------------------------------------------

void Link::check_pulse() {
  const auto now = Clock::now();
  if (now - heard_at_ >= options_.heartbeat) {
    if (asked_at_ <= heard_at_) {
      asked_at_ = now;
      send("ping", {}, [](const Answer&) {});
    } else if (now - asked_at_ >= options_.heartbeat) {
      return ended("the gateway does not answer pings");
    }
  }
  set_timer(options_.heartbeat / 2, &Link::check_pulse);
}

void Link::ended(const std::string& why, Refusal refusal) {
  // `why` may live in what is destroyed here.
  const std::string reason = why;
  const bool was_open = open_;
  open_ = false;
  ++generation_;
  connection_.reset();
  journal_.note(LogLevel::warning, was_open ? "the connection to " + address() + " ended: " + reason
                                            : "no connection to " + address() + ": " + reason);
  // The next attempt is decided first: the listener may stop the link, and that has to hold.
  if (was_open) {
    const auto lasted =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - opened_at_);
    schedule(policy_.after_loss(lasted, chance()));
    listener_.lost(reason);
  } else {
    schedule(policy_.after_failure(chance()));
    listener_.failed(reason, refusal);
  }
}

std::string Link::address() const {
  const Url& url = options_.urls[next_address_];
  return url.host + ":" + std::to_string(url.port);
}

void Link::set_timer(std::chrono::milliseconds wait, void (Link::*then)()) {
  timer_.expires_after(wait);
  timer_.async_wait(
      [this, owner = owner_, turn = ++timer_turn_, then](const boost::system::error_code& error) {
        const auto held = owner.lock();
        if (held && !error && turn == timer_turn_) (this->*then)();
      });
}

}  // namespace mpr::client
