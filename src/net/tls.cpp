#include "net/tls.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <new>

namespace mpr {

namespace {

std::string last_error() {
  const unsigned long code = ::ERR_get_error();
  ::ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown reason";
}

bool is_ip_address(const std::string& name) {
  std::array<unsigned char, 16> bytes;
  return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

}  // namespace

struct TlsContext::Handle {
  SSL_CTX* context = ::SSL_CTX_new(::TLS_client_method());
  ~Handle() { ::SSL_CTX_free(context); }
};

TlsContext::TlsContext(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::create(const std::filesystem::path& ca_file) {
  auto handle = std::make_unique<Handle>();
  SSL_CTX* context = handle->context;
  if (context == nullptr) return fail(Errc::internal, "TLS is not available: " + last_error());
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  const int loaded = ca_file.empty()
                         ? ::SSL_CTX_set_default_verify_paths(context)
                         : ::SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr);
  if (loaded != 1) {
    return fail(Errc::invalid_argument, "cannot use the certificates of " +
                                            (ca_file.empty() ? "the system" : ca_file.string()) +
                                            ": " + last_error());
  }
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(handle)));
}

Result<void> TlsContext::use_certificate(const std::filesystem::path& certificate_file,
                                         const std::filesystem::path& key_file) {
  ::ERR_clear_error();
  // An encrypted key is refused; OpenSSL would ask the terminal for its password.
  ::SSL_CTX_set_default_passwd_cb(handle_->context, [](char*, int, int, void*) { return -1; });
  if (::SSL_CTX_use_certificate_chain_file(handle_->context, certificate_file.c_str()) != 1) {
    return fail(Errc::invalid_argument,
                "cannot use the certificate " + certificate_file.string() + ": " + last_error());
  }
  // Also fails for a key that is not the certificate's.
  if (::SSL_CTX_use_PrivateKey_file(handle_->context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail(Errc::invalid_argument,
                "cannot use the key " + key_file.string() + ": " + last_error());
  }
  return {};
}

struct TlsStream::Handle {
  SSL* ssl = nullptr;
  BIO* in = nullptr;   // owned by ssl
  BIO* out = nullptr;  // owned by ssl
  std::string outgoing;

  ~Handle() { ::SSL_free(ssl); }

  void collect() {
    const std::size_t pending = ::BIO_ctrl_pending(out);
    if (pending == 0) return;
    const std::size_t before = outgoing.size();
    outgoing.resize(before + pending);
    const int count = ::BIO_read(out, outgoing.data() + before, static_cast<int>(pending));
    outgoing.resize(before + static_cast<std::size_t>(std::max(count, 0)));
  }

  // Wanting to read is no failure.
  bool waits(int outcome) const {
    const int error = ::SSL_get_error(ssl, outcome);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }
};

TlsStream::TlsStream(std::shared_ptr<TlsContext> context, const std::string& server_name)
    : context_(std::move(context)), handle_(std::make_unique<Handle>()) {
  handle_->ssl = ::SSL_new(context_->handle_->context);
  handle_->in = ::BIO_new(::BIO_s_mem());
  handle_->out = ::BIO_new(::BIO_s_mem());
  if (handle_->ssl == nullptr || handle_->in == nullptr || handle_->out == nullptr) {
    throw std::bad_alloc();
  }
  ::SSL_set_bio(handle_->ssl, handle_->in, handle_->out);
  ::SSL_set_connect_state(handle_->ssl);
  if (is_ip_address(server_name)) {
    ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(handle_->ssl), server_name.c_str());
  } else {
    ::SSL_set_tlsext_host_name(handle_->ssl, server_name.c_str());
    ::SSL_set1_host(handle_->ssl, server_name.c_str());
  }
}

TlsStream::~TlsStream() = default;

void TlsStream::received(std::span<const char> bytes) {
  // A memory BIO takes everything; a read is far below INT_MAX.
  ::BIO_write(handle_->in, bytes.data(), static_cast<int>(bytes.size()));
}

Result<TlsStream::Progress> TlsStream::shake_hands() {
  ::ERR_clear_error();
  const int outcome = ::SSL_do_handshake(handle_->ssl);
  const bool waits = outcome != 1 && handle_->waits(outcome);
  handle_->collect();
  if (outcome == 1) return Progress::done;
  if (waits) return Progress::more;
  const long verified = ::SSL_get_verify_result(handle_->ssl);
  if (verified != X509_V_OK) {
    ::ERR_clear_error();
    return fail(Errc::unavailable, std::string("the server's certificate is not accepted: ") +
                                       ::X509_verify_cert_error_string(verified));
  }
  return fail(Errc::unavailable, "the TLS handshake failed: " + last_error());
}

bool TlsStream::certificate_refused() const noexcept {
  return ::SSL_get_verify_result(handle_->ssl) != X509_V_OK;
}

Result<std::size_t> TlsStream::read(std::span<char> out) {
  ::ERR_clear_error();
  const int count = ::SSL_read(handle_->ssl, out.data(),
                               static_cast<int>(std::min<std::size_t>(out.size(), INT_MAX)));
  const bool waits = count <= 0 && handle_->waits(count);
  // Such as the server's alert that it wants a certificate: TLS 1.3 tells it only here.
  const bool broke = count <= 0 && ::SSL_get_error(handle_->ssl, count) == SSL_ERROR_SSL;
  handle_->collect();
  if (count > 0) return static_cast<std::size_t>(count);
  if (waits) return 0;
  if (broke) return fail(Errc::unavailable, "the TLS connection broke: " + last_error());
  return fail(Errc::unavailable, "the server closed the TLS connection");
}

Result<void> TlsStream::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ::ERR_clear_error();
    const int count = ::SSL_write(handle_->ssl, bytes.data(),
                                  static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX)));
    if (count <= 0) return fail(Errc::unavailable, "the TLS connection broke: " + last_error());
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  handle_->collect();
  return {};
}

std::string& TlsStream::outgoing() { return handle_->outgoing; }

}  // namespace mpr
