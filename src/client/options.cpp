#include "client/options.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <stdexcept>
#include <system_error>

#include "client/url.hpp"

namespace mpr::client {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// From the kernel: a seeded generator could give two processes the same ids, and with them one
// message would be taken for another.
template <std::size_t size>
std::array<unsigned char, size> random_bytes() {
  std::array<unsigned char, size> bytes{};
  if (::getentropy(bytes.data(), bytes.size()) != 0) {
    throw std::system_error(errno, std::generic_category(), "no random bytes");
  }
  return bytes;
}

void append_hex(std::string& out, std::span<const unsigned char> bytes) {
  for (const unsigned char byte : bytes) {
    out += kHexDigits[byte >> 4U];
    out += kHexDigits[byte & 15U];
  }
}

std::string make_client_id() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::string id = std::string(host.data()) + "-" + std::to_string(::getpid()) + "-";
  append_hex(id, random_bytes<4>());
  return id;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      append_hex(out, std::span(&byte, 1));
    }
  }
  return out;
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::invalid_argument(what);
}

void require_positive(std::chrono::milliseconds time, const std::string& name) {
  require(time.count() > 0, name + ": must be above 0");
}

std::shared_ptr<TlsContext> tls_context(const TlsOptions& options) {
  auto context = TlsContext::create(options.ca_file);
  if (!context) throw std::invalid_argument("tls.ca_file: " + context.error().context);
  if (options.certificate_file.empty()) return *context;
  const auto used = (*context)->use_certificate(options.certificate_file, options.key_file);
  if (!used) throw std::invalid_argument("tls.certificate_file: " + used.error().context);
  return *context;
}

}  // namespace

ClientOptions checked(ClientOptions options) {
  require(!options.urls.empty(), "urls: at least one address is needed");
  for (const std::string& text : options.urls) {
    const auto url = parse_url(text);
    if (!url) throw std::invalid_argument("urls: " + url.error().context);
  }
  require(options.tls.certificate_file.empty() == options.tls.key_file.empty(),
          "tls: certificate_file and key_file are given together or not at all");
  require_positive(options.call_timeout, "call_timeout");
  require_positive(options.total_timeout, "total_timeout");
  require_positive(options.connect_timeout, "connect_timeout");
  require_positive(options.heartbeat, "heartbeat");
  require_positive(options.reconnect_base, "reconnect_base");
  require_positive(options.reconnect_cap, "reconnect_cap");
  if (options.client_id.empty()) options.client_id = make_client_id();
  return options;
}

Link::Options link_options(const ClientOptions& options) {
  Link::Options link;
  link.token = options.token;
  link.server_name = options.tls.server_name;
  link.connect_timeout = options.connect_timeout;
  link.heartbeat = options.heartbeat;
  link.times.base = options.reconnect_base;
  link.times.cap = options.reconnect_cap;
  for (const std::string& text : options.urls) {
    Url url = *parse_url(text);
    const bool has_query = url.target.find('?') != std::string::npos;
    url.target += (has_query ? "&socket_id=" : "?socket_id=") + percent_encoded(options.client_id);
    if (url.transport == Transport::tls && !link.tls) link.tls = tls_context(options.tls);
    link.urls.push_back(std::move(url));
  }
  return link;
}

Caller::Limits call_limits(const ClientOptions& options) {
  return {options.call_timeout, options.total_timeout, options.max_queued_calls,
          options.max_queued_bytes, options.max_request_bytes};
}

std::string make_message_id() {
  std::array<unsigned char, 16> bytes = random_bytes<16>();
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0fU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3fU) | 0x80U);
  const std::span<const unsigned char> all(bytes);
  std::string id;
  append_hex(id, all.first(4));
  for (const std::size_t first : {4U, 6U, 8U}) {
    id += '-';
    append_hex(id, all.subspan(first, 2));
  }
  id += '-';
  append_hex(id, all.last(6));
  return id;
}

}  // namespace mpr::client
