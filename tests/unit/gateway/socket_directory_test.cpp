#include "gateway/socket_directory.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace mpr {
namespace {

SharedText text_of(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

struct Bed {
  SocketAccount& open(const char* tenant = "") {
    SocketAccount& account = directory.add(TenantId(tenant));
    directory.open(account);
    return account;
  }
  // "1:text 2:text" of what is in the mailbox, sockets by their slots.
  std::string fetch() {
    std::vector<SocketDirectory::Parcel> parcels;
    directory.fetch(parcels);
    std::string all;
    for (const auto& parcel : parcels) {
      all += std::to_string(SocketDirectory::slot_of(parcel.to)) + ":" + *parcel.text + " ";
    }
    return all;
  }

  int wakes = 0;
  SocketDirectory directory{7, 100, [this] { ++wakes; }};
};

TEST(SocketDirectory, NamesItsThreadInEveryIdAndUsesNoneTwice) {
  Bed bed;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    SocketAccount& account = bed.open();
    EXPECT_EQ(SocketDirectory::thread_of(account.id), 7);
    EXPECT_EQ(SocketDirectory::slot_of(account.id), 0u);
    EXPECT_TRUE(seen.insert(account.id.value).second);
    bed.directory.close(account);
    bed.directory.remove(account);
  }
}

TEST(SocketDirectory, SendsInOrderAndWakesOncePerFill) {
  Bed bed;
  const SocketId first = bed.open().id;
  const SocketId second = bed.open().id;
  EXPECT_EQ(bed.directory.send(first, text_of("a")), Delivery::accepted);
  EXPECT_EQ(bed.directory.send(second, text_of("b")), Delivery::accepted);
  EXPECT_EQ(bed.directory.send(first, text_of("c")), Delivery::accepted);
  EXPECT_TRUE(bed.directory.has_mail());
  EXPECT_EQ(bed.wakes, 1);
  EXPECT_EQ(bed.fetch(), "0:a 1:b 0:c ");
  EXPECT_FALSE(bed.directory.has_mail());
  bed.directory.send(first, text_of("d"));
  EXPECT_EQ(bed.wakes, 2);
}

TEST(SocketDirectory, SaysThatASocketIsGone) {
  Bed bed;
  SocketAccount& account = bed.directory.add(TenantId());
  const SocketId id = account.id;
  EXPECT_EQ(bed.directory.send(id, text_of("x")), Delivery::gone) << "its handshake is not done";
  bed.directory.open(account);
  EXPECT_TRUE(bed.directory.is_open(id));
  bed.directory.close(account);
  EXPECT_FALSE(bed.directory.is_open(id));
  EXPECT_EQ(bed.directory.send(id, text_of("x")), Delivery::gone);
  bed.directory.remove(account);
  EXPECT_EQ(bed.directory.send(id, text_of("x")), Delivery::gone);
  bed.open();
  EXPECT_EQ(bed.directory.send(id, text_of("x")), Delivery::gone) << "another took its slot";
}

TEST(SocketDirectory, IsFullAtTheBoundAndRemembersWhoWasTold) {
  Bed bed;
  SocketAccount& account = bed.open();
  EXPECT_EQ(bed.directory.send(account.id, text_of(std::string(99, 'x'))), Delivery::accepted);
  EXPECT_EQ(bed.directory.send(account.id, text_of("yy")), Delivery::accepted);
  EXPECT_FALSE(account.wants_drained.load());
  EXPECT_EQ(bed.directory.send(account.id, text_of("z")), Delivery::full);
  EXPECT_TRUE(account.wants_drained.load());
  EXPECT_EQ(account.outbound_bytes.load(), 101u);
}

TEST(SocketDirectory, SendsToListenersOfOneTenantOnly) {
  Bed bed;
  SocketAccount& other_event = bed.open("t");
  SocketAccount& listener = bed.open("t");
  SocketAccount& other_tenant = bed.open("u");
  SocketAccount& closed = bed.open("t");
  SocketAccount& full = bed.open("t");
  bed.open("t");  // listens to nothing
  bed.directory.set_events(other_event, 2);
  for (SocketAccount* account : {&listener, &other_tenant, &closed, &full}) {
    bed.directory.set_events(*account, 3);
  }
  bed.directory.close(closed);
  full.outbound_bytes = 100;
  EXPECT_EQ(bed.directory.send_to_listeners(TenantId("t"), 1, text_of("x")), 1u);
  EXPECT_EQ(bed.fetch(), "1:x ");
  bed.directory.set_events(listener, 0);
  EXPECT_EQ(bed.directory.send_to_listeners(TenantId("t"), 1, text_of("x")), 0u);
}

TEST(SocketDirectory, SendsToASocketThatListens) {
  Bed bed;
  SocketAccount& account = bed.open();
  bed.directory.set_events(account, 2);
  EXPECT_EQ(bed.directory.send_if_listening(account.id, 1, text_of("x")), Delivery::gone);
  EXPECT_EQ(bed.directory.send_if_listening(account.id, 2, text_of("y")), Delivery::accepted);
  EXPECT_EQ(bed.fetch(), "0:y ");
}

TEST(SocketDirectory, KnowsWhoListensAndIsWelcomed) {
  Bed bed;
  SocketAccount& account = bed.open();
  bed.directory.set_events(account, 2);
  EXPECT_FALSE(bed.directory.listens(account.id, 2)) << "the service does not know of it yet";
  account.welcomed = true;
  EXPECT_TRUE(bed.directory.listens(account.id, 2));
  EXPECT_FALSE(bed.directory.listens(account.id, 1));
  bed.directory.close(account);
  EXPECT_FALSE(bed.directory.listens(account.id, 2));
}

TEST(SocketDirectory, KeepsTheOrderOfEachOfManySenders) {
  Bed bed;
  std::atomic<int> wakes = 0;
  SocketDirectory directory(0, SIZE_MAX, [&] { ++wakes; });
  SocketAccount& account = directory.add(TenantId());
  directory.open(account);
  constexpr int kSenders = 3;
  constexpr int kEach = 5000;
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&, s] {
      for (int i = 0; i < kEach; ++i) {
        directory.send(account.id, text_of(std::to_string(s) + std::to_string(i)));
      }
    });
  }
  std::vector<int> next(kSenders, 0);
  std::vector<SocketDirectory::Parcel> parcels;
  for (int received = 0; received < kSenders * kEach;) {
    directory.fetch(parcels);
    for (const auto& parcel : parcels) {
      const auto sender = static_cast<std::size_t>(parcel.text->front() - '0');
      EXPECT_EQ(parcel.text->substr(1), std::to_string(next[sender]++));
      ++received;
    }
    parcels.clear();
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_GE(wakes.load(), 1);
}

}  // namespace
}  // namespace mpr
