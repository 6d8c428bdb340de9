// Random histories of two gateways, their sockets and two phones, against a model of what a phone
// may rely on: nothing is delivered after its acknowledgement was answered, nothing twice or out of
// order to one socket, count is what take returns, and a phone that acknowledges gets everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/unit/pickup/gateway_bed.hpp"

namespace mpr {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using test::Backend;
using test::GatewayBed;
using test::InterceptedStore;

PickupService::Options small_and_patient() {
  PickupService::Options options;
  options.sessions = {4, 1000, hours(1), hours(1)};
  return options;
}

constexpr std::size_t kNowhere = 2;

struct Phone {
  std::string connection;
  std::map<int, MessageId> pending;  // by the number that is the payload; in order of acceptance
  std::size_t gateway = kNowhere;    // where its session is
  std::uint64_t holder = 0;          // 0: orphaned
  std::string session;
  std::set<int> expected;  // accepted since the session opened, not delivered or taken since
};

class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) {
    // Sockets of replace_socket() subscribe; these first ones never do.
    for (auto& socket : sockets_) socket = ++last_socket_;
  }

  ~Model() {
    store_.release_takes();
    // A pump that an announcement started runs on the loop of the gateway that announced.
    while (beds_[0]->loop.poll() + beds_[1]->loop.poll() > 0) {
    }
    for (auto& gateway : beds_) EXPECT_FALSE(gateway->service.busy());
  }

  void step() {
    Phone& phone = phones_[pick(2)];
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
        return add(phone);
      case 3:
      case 4:
        return acknowledge(phone);
      case 5:
        return open(phone);
      case 6:
        return close(phone);
      case 7:
        return replace_socket(pick(4));
      case 8:
        return fill_or_drain(pick(4));
      case 9:
        return take(phone);
      case 10:
        return compare_count_and_take(phone);
      default:
        return let_time_pass();
    }
  }

  // Everything flows: the phones acknowledge what comes, until nothing is owed to them.
  void settle_down() {
    for (std::size_t socket = 0; socket < 4; ++socket) {
      bed(socket).drain_socket(sockets_[socket]);
      look(bed(socket));
    }
    for (int round = 0; round < 100 && owed(); ++round) {
      for (int i = 0; i < 10; ++i) let_time_pass();
      for (Phone& phone : phones_) {
        if (phone.gateway == kNowhere) continue;
        while (!phone.expected.empty() && acknowledge_delivered(phone)) {
        }
      }
    }
    for (const Phone& phone : phones_) {
      EXPECT_TRUE(phone.gateway == kNowhere || phone.holder == 0 || phone.expected.empty())
          << phone.connection << " still waits for " << phone.expected.size() << " messages";
    }
  }

 private:
  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }
  GatewayBed& bed(std::size_t socket) { return *beds_[socket / 2]; }

  void add(Phone& phone) {
    const int number = ++last_number_;
    GatewayBed& gateway = *beds_[pick(2)];
    if (phone.gateway != kNowhere) phone.expected.insert(number);
    const auto receipt = gateway.add(phone.connection.c_str(), std::to_string(number));
    ASSERT_TRUE(receipt);
    phone.pending.emplace(number, receipt->id);
    look_everywhere();
  }

  // Acknowledged through the gateway that has the session, as a phone does.
  void acknowledge(Phone& phone) {
    std::vector<int> numbers;
    for (const auto& [number, id] : phone.pending) {
      if (pick(2) == 0) numbers.push_back(number);
    }
    acknowledge(phone, numbers);
  }
  bool acknowledge_delivered(Phone& phone) {
    std::vector<int> numbers;
    for (const auto& [number, id] : phone.pending) {
      if (!phone.expected.contains(number)) numbers.push_back(number);
    }
    if (numbers.empty()) return false;
    acknowledge(phone, numbers);
    return true;
  }
  void acknowledge(Phone& phone, const std::vector<int>& numbers) {
    const std::size_t gateway = phone.gateway == kNowhere ? pick(2) : phone.gateway;
    std::uint64_t socket = phone.holder;
    if (socket == 0) socket = sockets_[gateway * 2 + pick(2)];
    // An orphan is adopted by whoever removes something; what is in flight to the listeners flows
    // again to one that is not among them.
    if (phone.gateway != kNowhere && !numbers.empty()) {
      if (phone.holder == 0 && socket <= sockets_.size()) flow_again(phone);
      phone.holder = socket;
    }
    std::vector<MessageId> ids;
    for (const int number : numbers) {
      ids.push_back(phone.pending.at(number));
      phone.pending.erase(number);
      phone.expected.erase(number);
      acknowledged_.insert(number);
    }
    const auto receipt = beds_[gateway]->acknowledge(phone.connection.c_str(), ids, socket);
    EXPECT_EQ(receipt.removed, ids.size());
    look_everywhere();
  }

  void open(Phone& phone) {
    const std::size_t socket = pick(4);
    const bool again = pick(2) == 0 && !phone.session.empty();
    const std::string session =
        again ? phone.session : "session-" + std::to_string(pick(1'000'000));
    const bool resumed = phone.gateway == socket / 2 && session == phone.session;
    if (!resumed) phone.expected.clear();
    if (resumed && phone.holder != sockets_[socket]) flow_again(phone);
    phone.gateway = socket / 2;
    phone.holder = sockets_[socket];
    phone.session = session;
    forget_order(phone);
    bed(socket).open(phone.connection.c_str(), phone.holder, session.c_str());
    look_everywhere();
  }

  void close(Phone& phone) {
    if (phone.gateway == kNowhere) return;
    EXPECT_TRUE(beds_[phone.gateway]->close(phone.connection.c_str(), phone.holder));
    EXPECT_FALSE(beds_[0]->live(phone.connection.c_str()));
    phone.gateway = kNowhere;
    phone.holder = 0;
    phone.expected.clear();
    delivered_[phone.connection].clear();
  }

  void replace_socket(std::size_t socket) {
    GatewayBed& gateway = bed(socket);
    const std::uint64_t lost = std::exchange(sockets_[socket], ++last_socket_);
    for (Phone& phone : phones_) {
      if (phone.gateway != socket / 2) continue;
      if (phone.holder != 0 && phone.holder != lost) continue;
      phone.holder = 0;
      flow_again(phone);
    }
    gateway.close_socket(lost);
    look_everywhere();
    for (Phone& phone : phones_) {  // a newcomer hears again what nobody acknowledged
      if (phone.gateway != kNowhere && phone.holder == 0) flow_again(phone);
    }
    gateway.subscribe(sockets_[socket]);
    look_everywhere();
  }

  void fill_or_drain(std::size_t socket) {
    if (pick(2) == 0) {
      bed(socket).sink.fill({sockets_[socket]});
    } else {
      bed(socket).drain_socket(sockets_[socket]);
      look(bed(socket));
    }
  }

  void take(Phone& phone) {
    if (phone.gateway == kNowhere || phone.holder == 0) return;
    store_.hold_takes(false);
    const auto limit = pick(4) + 1;
    int last = 0;
    const auto taken = beds_[phone.gateway]->take(phone.connection.c_str(), phone.holder, limit);
    store_.hold_takes(true);
    EXPECT_LE(taken.size(), limit);
    for (const std::string& payload : taken) {
      const int number = std::stoi(payload);
      EXPECT_TRUE(phone.pending.contains(number));
      EXPECT_GT(number, last) << "in order";
      last = number;
      phone.expected.erase(number);
    }
    look_everywhere();
  }

  void compare_count_and_take(Phone& phone) {
    store_.hold_takes(false);
    GatewayBed& gateway = *beds_[phone.gateway == kNowhere ? pick(2) : phone.gateway];
    const std::uint64_t counted = gateway.count(phone.connection.c_str());
    EXPECT_EQ(counted, gateway.take(phone.connection.c_str()).size());
    EXPECT_LE(counted, phone.pending.size());
    if (phone.gateway == kNowhere) EXPECT_EQ(counted, phone.pending.size());
    store_.hold_takes(true);
  }

  void let_time_pass() {
    if (pick(2) == 0) store_.release_takes();
    store_.hold_takes(true);
    for (auto& gateway : beds_) {
      while (gateway->loop.poll() > 0) {
      }
      gateway->pass(milliseconds(pick(2) == 0 ? 100 : 1100));
    }
    look_everywhere();
  }

  bool owed() const {
    return std::any_of(phones_.begin(), phones_.end(), [](const Phone& p) {
      return p.gateway != kNowhere && p.holder != 0 && !p.expected.empty();
    });
  }

  // What went to the lost socket is owed again: everything unacknowledged since the session opened
  // that was delivered. What was taken is for the phone to ask for.
  void flow_again(Phone& phone) {
    for (const int number : delivered_[phone.connection]) {
      if (phone.pending.contains(number)) phone.expected.insert(number);
    }
    forget_order(phone);
  }
  void forget_order(Phone& phone) {
    delivered_[phone.connection].clear();
    for (auto& [key, last] : last_delivered_) {
      if (key.second == phone.connection) last = 0;
    }
  }

  void look_everywhere() {
    for (auto& gateway : beds_) look(*gateway);
  }
  void look(GatewayBed& gateway) {
    for (std::uint64_t socket = 1; socket <= last_socket_; ++socket) {
      const auto events = gateway.sink.received({socket});
      std::size_t& seen = seen_[{&gateway, socket}];
      for (; seen < events.size(); ++seen) deliver(socket, std::stoi(events[seen]));
    }
  }
  void deliver(std::uint64_t socket, int number) {
    EXPECT_FALSE(acknowledged_.contains(number)) << number << " came after its acknowledgement";
    for (Phone& phone : phones_) {
      if (!phone.pending.contains(number) && !phone.expected.contains(number)) continue;
      int& last = last_delivered_[{socket, phone.connection}];
      EXPECT_GT(number, last) << "on socket " << socket;
      last = number;
      phone.expected.erase(number);
      delivered_[phone.connection].insert(number);
    }
  }

  std::mt19937 random_;
  Backend backend_;
  InterceptedStore store_{backend_.store};
  std::array<std::unique_ptr<GatewayBed>, 2> beds_{
      std::make_unique<GatewayBed>(backend_, "gateway-1", &store_, small_and_patient()),
      std::make_unique<GatewayBed>(backend_, "gateway-2", &store_, small_and_patient())};
  std::array<std::uint64_t, 4> sockets_{};  // two of each gateway
  std::array<Phone, 2> phones_{Phone{"phone-1", {}, kNowhere, 0, {}, {}},
                               Phone{"phone-2", {}, kNowhere, 0, {}, {}}};
  std::set<int> acknowledged_;
  std::map<std::string, std::set<int>> delivered_;
  std::map<std::pair<std::uint64_t, std::string>, int> last_delivered_;
  std::map<std::pair<GatewayBed*, std::uint64_t>, std::size_t> seen_;
  std::uint64_t last_socket_ = 0;
  int last_number_ = 0;
};

TEST(PickupModel, RandomHistoriesKeepThePromises) {
  const unsigned first = std::random_device()();
  for (unsigned seed = first; seed != first + 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Model model(seed);
    for (int i = 0; i < 100 && !testing::Test::HasFailure(); ++i) model.step();
    model.settle_down();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace mpr
