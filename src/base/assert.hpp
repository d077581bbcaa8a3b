// QM_ASSERT: for our own bugs and broken preconditions only; on in every build, ends the process.
// Bytes from the network never reach one: bad input is a `Result` or a counted drop.
#pragma once

namespace quicmesh {

/// Prints the failed condition, its place and the current context (`set_assert_context`), aborts.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);

/// A text printed by every failed assertion of this thread: the seed of a simulation, a node id.
/// `context` must outlive its use; nullptr takes it away.
void set_assert_context(const char* context);

}  // namespace quicmesh

#define QM_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::quicmesh::assert_failed(#condition, __FILE__, __LINE__))
