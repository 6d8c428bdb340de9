// TLS for clients, as a state machine without I/O: the caller moves the encrypted bytes. The
// server's certificate and name are always verified.
//
// A TlsContext is made once and shared by any number of streams on any threads; a TlsStream
// belongs to one thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mpr {

class TlsContext {
 public:
  // `ca_file`: PEM certificates of the authorities to trust; empty: those of the system. Fails with
  // invalid_argument when the file cannot be used.
  static Result<std::shared_ptr<TlsContext>> create(const std::filesystem::path& ca_file);
  // What streams show to servers that ask for a certificate: PEM, the certificate with its chain
  // and its key. To be called before the first stream is made. Fails with invalid_argument, naming
  // the file.
  Result<void> use_certificate(const std::filesystem::path& certificate_file,
                               const std::filesystem::path& key_file);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsStream;
  struct Handle;
  explicit TlsContext(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

class TlsStream {
 public:
  enum class Progress { more, done };

  // `server_name`: a host name or an IP address, as it stands in the server's certificate.
  TlsStream(std::shared_ptr<TlsContext> context, const std::string& server_name);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Takes encrypted bytes from the network.
  void received(std::span<const char> bytes);

  // Goes on with the handshake; to be called first, and after each received() until it is done.
  // Fails with `unavailable`; the context says what is wrong with the certificate.
  Result<Progress> shake_hands();
  // Whether shake_hands() failed because the server's certificate is not accepted.
  bool certificate_refused() const noexcept;

  // Decrypts into `out` what was received; 0: no more at present. Fails with `unavailable` when the
  // peer closed or broke the stream.
  Result<std::size_t> read(std::span<char> out);
  // Encrypts; the outcome is in outgoing().
  Result<void> write(std::string_view bytes);

  // Encrypted bytes for the network; the caller takes away what it sent.
  std::string& outgoing();

 private:
  struct Handle;
  std::shared_ptr<TlsContext> context_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace mpr
