// See file_wire.hpp.
#include "file_wire.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace quicmesh::cli {
namespace {

enum class FrameType : std::uint8_t { offer = 1, answer = 2, begin = 3, verdict = 4 };

template <class Fields>
Bytes frame(FrameType type, Fields write_fields) {
  Bytes body;
  ByteWriter body_writer(body);
  body_writer.u8(static_cast<std::uint8_t>(type));
  write_fields(body_writer);
  Bytes out;
  ByteWriter writer(out);
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.bytes(body);
  return out;
}

void expect(ByteReader& reader, FrameType type) {
  if (reader.u8() != static_cast<std::uint8_t>(type))
    reader.fail(make_error_code(BaseErrc::out_of_range));
}

FileStatus read_status(ByteReader& reader) {
  const std::uint8_t status = reader.u8();
  if (status > static_cast<std::uint8_t>(FileStatus::bad_message))
    reader.fail(make_error_code(BaseErrc::out_of_range));
  return static_cast<FileStatus>(status);
}

std::uint64_t read_size(ByteReader& reader) {
  const std::uint64_t size = reader.u64();
  if (size > file_size_max) reader.fail(make_error_code(BaseErrc::out_of_range));
  return size;
}

std::string read_text(ByteReader& reader, std::size_t size_max) {
  return std::string(as_text(reader.varint_prefixed(size_max)));
}

template <class Message>
Result<Message> finished(const ByteReader& reader, Message message) {
  if (const auto done = reader.finish(); !done) return failure(done.error());
  return message;
}

ByteView cut(std::string_view text, std::size_t size_max) {
  return as_bytes(text.substr(0, size_max));
}

}  // namespace

Bytes encode(const FileOffer& offer) {
  return frame(FrameType::offer, [&](ByteWriter& writer) {
    writer.u64(offer.size);
    writer.bytes(offer.hash);
    writer.varint_prefixed(cut(offer.name, offered_name_max));
  });
}

Bytes encode(const FileAnswer& answer) {
  return frame(FrameType::answer, [&](ByteWriter& writer) {
    writer.u8(static_cast<std::uint8_t>(answer.status));
    writer.u64(answer.held);
    writer.bytes(answer.held_hash);
    writer.varint_prefixed(cut(answer.text, verdict_text_max));
  });
}

Bytes encode(const FileBegin& begin) {
  return frame(FrameType::begin, [&](ByteWriter& writer) { writer.u64(begin.start); });
}

Bytes encode(const FileVerdict& verdict) {
  return frame(FrameType::verdict, [&](ByteWriter& writer) {
    writer.u8(static_cast<std::uint8_t>(verdict.status));
    writer.varint_prefixed(cut(verdict.text, verdict_text_max));
  });
}

Result<std::size_t> decode_frame_size(ByteView header) {
  ByteReader reader(header);
  const std::uint32_t size = reader.u32();
  if (size == 0 || size > file_frame_max) reader.fail(make_error_code(BaseErrc::too_long));
  return finished(reader, std::size_t{size});
}

Result<FileOffer> decode_offer(ByteView frame) {
  ByteReader reader(frame);
  expect(reader, FrameType::offer);
  FileOffer offer;
  offer.size = read_size(reader);
  offer.hash = reader.array<blake3_size>();
  offer.name = read_text(reader, offered_name_max);
  return finished(reader, std::move(offer));
}

Result<FileAnswer> decode_answer(ByteView frame) {
  ByteReader reader(frame);
  expect(reader, FrameType::answer);
  FileAnswer answer;
  answer.status = read_status(reader);
  answer.held = read_size(reader);
  answer.held_hash = reader.array<blake3_size>();
  answer.text = read_text(reader, verdict_text_max);
  return finished(reader, std::move(answer));
}

Result<FileBegin> decode_begin(ByteView frame) {
  ByteReader reader(frame);
  expect(reader, FrameType::begin);
  const FileBegin begin{.start = read_size(reader)};
  return finished(reader, begin);
}

Result<FileVerdict> decode_verdict(ByteView frame) {
  ByteReader reader(frame);
  expect(reader, FrameType::verdict);
  FileVerdict verdict;
  verdict.status = read_status(reader);
  verdict.text = read_text(reader, verdict_text_max);
  return finished(reader, std::move(verdict));
}

std::string_view name_of(FileStatus status) {
  switch (status) {
    case FileStatus::good:
      return "good";
    case FileStatus::not_wanted:
      return "not_wanted";
    case FileStatus::busy:
      return "busy";
    case FileStatus::no_space:
      return "no_space";
    case FileStatus::cannot_write:
      return "cannot_write";
    case FileStatus::hash_mismatch:
      return "hash_mismatch";
    case FileStatus::bad_message:
      return "bad_message";
  }
  return "unknown";
}

}  // namespace quicmesh::cli
