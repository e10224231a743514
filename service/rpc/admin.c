/*
 * AdminService: the service itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/rpc.h"

#include "base/error.h"
#include "range/range.h"
#include "rpc/convert.h"

#include "memsnap/v1/admin.pb-c.h"

#include <errno.h>
#include <sys/utsname.h>

/* Grows with every change of the API. */
#define API_REVISION 1

static const char *const role_names[] = {
	[MSN_ROLE_NONE] = "none",
	[MSN_ROLE_READ] = "read",
	[MSN_ROLE_OPERATE] = "operate",
	[MSN_ROLE_ADMIN] = "admin",
};

static int get_info(struct msn_call *call, const ProtobufCMessage *request)
{
	const struct msn_peer *peer = msn_call_peer(call);
	Memsnap__V1__GetInfoResponse answer;
	struct utsname kernel;

	(void)request;
	if (uname(&kernel))
		return msn_fail(-EFAULT);
	memsnap__v1__get_info_response__init(&answer);
	answer.version = rpc_text(call, rpc_of(call)->version);
	answer.api_revision = API_REVISION;
	answer.kernel = rpc_text(call, kernel.release);
	answer.page_size = MSN_PAGE_SIZE;
	answer.caller = rpc_text(call, peer->owner);
	answer.role = rpc_text(call, role_names[peer->role]);
	if (!answer.version || !answer.kernel || !answer.caller || !answer.role)
		return msn_fail(-ENOMEM);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int get_stats(struct msn_call *call, const ProtobufCMessage *request)
{
	const char *owner = msn_call_peer(call)->owner;
	Memsnap__V1__GetStatsResponse answer;
	struct msn_spaces_usage usage;

	(void)request;
	memsnap__v1__get_stats_response__init(&answer);
	msn_spaces_usage(rpc_of(call)->spaces, owner, &usage);
	answer.spaces = usage.spaces;
	answer.resident_bytes = usage.resident_bytes;
	answer.operations_running =
		msn_operations_running(rpc_of(call)->operations, owner);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

#define ROW(rpc, snake, handler, needs)                                        \
	{                                                                      \
		.path = "/memsnap.v1.AdminService/" rpc,                       \
		.request = &memsnap__v1__##snake##_request__descriptor,        \
		.response = &memsnap__v1__##snake##_response__descriptor,      \
		.role = (needs), .flags = MSN_METHOD_WHILE_DRAINING,           \
		.run = (handler)                                               \
	}

const struct msn_method msn_rpc_admin[] = {
	ROW("GetInfo", get_info, get_info, MSN_ROLE_READ),
	ROW("GetStats", get_stats, get_stats, MSN_ROLE_READ),
	{}
};
