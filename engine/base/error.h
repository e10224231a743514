/*
 * Error codes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A function that can fail returns int:
 *
 *    0   success.
 *   <0   a negated errno.  Nobody matches on it: it is passed up unchanged to
 *        the boundary (RPC reply, tool exit) that can name it to a person.
 *   >0   an outcome that the header of that one function lists, as
 *        MSN_<MODULE>_E_<NAME>.  The caller handles it there and never passes
 *        it on, since its meaning ends with that function.
 *
 * msn_fail() marks where a failure starts and msn_pass() each frame that it
 * goes through: with MSN_TRACE_ERRORS set in the environment the path of a
 * failure is printed, not just its name.  Both cost nothing on success.
 */
#ifndef MSN_BASE_ERROR_H
#define MSN_BASE_ERROR_H

#define msn_fail(rc)                                                           \
	msn_error_note((rc), "raised", __func__, __FILE__, __LINE__)
#define msn_pass(rc)                                                           \
	__extension__({                                                        \
		int rc_ = (rc);                                                \
		__builtin_expect(rc_ < 0, 0)                                   \
			? msn_error_note(rc_, "via", __func__, __FILE__,       \
					 __LINE__)                             \
			: rc_;                                                 \
	})

/* Returns @rc.  Used through msn_fail() and msn_pass(). */
int msn_error_note(int rc, const char *how, const char *func, const char *file,
		   int line);

#endif /* MSN_BASE_ERROR_H */
