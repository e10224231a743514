/*
 * Codes and kinds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "status/status.h"

const char *msn_code_name(enum msn_code code)
{
	static const char *const names[] = {
		[MSN_CODE_OK] = "OK",
		[MSN_CODE_CANCELLED] = "CANCELLED",
		[MSN_CODE_UNKNOWN] = "UNKNOWN",
		[MSN_CODE_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
		[MSN_CODE_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
		[MSN_CODE_NOT_FOUND] = "NOT_FOUND",
		[MSN_CODE_ALREADY_EXISTS] = "ALREADY_EXISTS",
		[MSN_CODE_PERMISSION_DENIED] = "PERMISSION_DENIED",
		[MSN_CODE_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
		[MSN_CODE_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
		[MSN_CODE_ABORTED] = "ABORTED",
		[MSN_CODE_OUT_OF_RANGE] = "OUT_OF_RANGE",
		[MSN_CODE_UNIMPLEMENTED] = "UNIMPLEMENTED",
		[MSN_CODE_INTERNAL] = "INTERNAL",
		[MSN_CODE_UNAVAILABLE] = "UNAVAILABLE",
		[MSN_CODE_DATA_LOSS] = "DATA_LOSS",
		[MSN_CODE_UNAUTHENTICATED] = "UNAUTHENTICATED",
	};
	unsigned i = (unsigned)code;

	return names[i < MSN_ARRAY_LEN(names) ? i : MSN_CODE_UNKNOWN];
}

/* The first row of a code, and of a kind, is the way to the other. */
static const struct {
	enum msn_code code;
	enum msn_failure_kind kind;
} pairs[] = {
	{ MSN_CODE_OK, MSN_FAILURE_NONE },
	{ MSN_CODE_INTERNAL, MSN_FAILURE_INTERNAL },
	{ MSN_CODE_INVALID_ARGUMENT, MSN_FAILURE_INVALID },
	{ MSN_CODE_NOT_FOUND, MSN_FAILURE_NOT_FOUND },
	{ MSN_CODE_ALREADY_EXISTS, MSN_FAILURE_EXISTS },
	{ MSN_CODE_FAILED_PRECONDITION, MSN_FAILURE_PRECONDITION },
	{ MSN_CODE_ABORTED, MSN_FAILURE_ABORTED },
	{ MSN_CODE_RESOURCE_EXHAUSTED, MSN_FAILURE_EXHAUSTED },
	{ MSN_CODE_PERMISSION_DENIED, MSN_FAILURE_DENIED },
	{ MSN_CODE_UNAVAILABLE, MSN_FAILURE_UNAVAILABLE },
	{ MSN_CODE_CANCELLED, MSN_FAILURE_CANCELLED },
	{ MSN_CODE_DATA_LOSS, MSN_FAILURE_DATA_LOSS },
	{ MSN_CODE_UNIMPLEMENTED, MSN_FAILURE_UNSUPPORTED },
	/* Codes that no kind becomes. */
	{ MSN_CODE_OUT_OF_RANGE, MSN_FAILURE_INVALID },
	{ MSN_CODE_UNAUTHENTICATED, MSN_FAILURE_DENIED },
	{ MSN_CODE_DEADLINE_EXCEEDED, MSN_FAILURE_UNAVAILABLE },
};

enum msn_code msn_code_of_kind(enum msn_failure_kind kind)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(pairs); i++)
		if (pairs[i].kind == kind)
			return pairs[i].code;
	return MSN_CODE_UNKNOWN;
}

enum msn_failure_kind msn_kind_of_code(enum msn_code code)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(pairs); i++)
		if (pairs[i].code == code)
			return pairs[i].kind;
	return MSN_FAILURE_INTERNAL;
}
