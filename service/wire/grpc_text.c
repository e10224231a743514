/*
 * The texts of gRPC's headers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/grpc_text.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_DIGITS 8

static const struct {
	char unit;
	uint64_t ns;
} units[] = {
	{ 'n', 1 },
	{ 'u', 1000 },
	{ 'm', 1000000 },
	{ 'S', UINT64_C(1000000000) },
	{ 'M', UINT64_C(60000000000) },
	{ 'H', UINT64_C(3600000000000) },
};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

bool grpc_timeout_parse(const char *text, size_t len, uint64_t *ns)
{
	uint64_t value = 0;

	if (len < 2 || len > TIMEOUT_DIGITS + 1)
		return false;
	for (size_t i = 0; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	for (size_t i = 0; i < UNIT_COUNT; i++)
		if (units[i].unit == text[len - 1]) {
			if (__builtin_mul_overflow(value, units[i].ns, ns))
				*ns = UINT64_MAX;
			return true;
		}
	return false;
}

void grpc_timeout_format(char *out, uint64_t ns)
{
	static const uint64_t most = 99999999;

	for (size_t i = 0; i < UNIT_COUNT; i++) {
		uint64_t value = ns / units[i].ns + (ns % units[i].ns != 0);

		if (value > most)
			continue;
		snprintf(out, GRPC_TIMEOUT_TEXT, "%u%c", (unsigned)value,
			 units[i].unit);
		return;
	}
}

size_t grpc_message_encode(char *out, const char *text, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c <= 0x7e && c != '%') {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return n;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t grpc_message_decode(char *out, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int high = -1, low = -1;

		if (text[i] == '%' && len - i > 2) {
			high = hex_value(text[i + 1]);
			low = hex_value(text[i + 2]);
		}
		if (high < 0 || low < 0) {
			out[n++] = text[i];
			continue;
		}
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return n;
}

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t grpc_base64_encode(char *out, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 6; have -= 6)
			out[n++] = alphabet[bits >> (have - 6) & 63];
	}
	if (have)
		out[n++] = alphabet[bits << (6 - have) & 63];
	return n;
}

/* Without its padding; false if it is padded otherwise than it should be. */
static bool strip_padding(const char *text, size_t *len)
{
	size_t n = *len;

	while (n > 0 && text[n - 1] == '=')
		n--;
	if (n != *len && (*len % 4 != 0 || *len - n > 2))
		return false;
	*len = n;
	return n % 4 != 1;
}

bool grpc_base64_decode(uint8_t *out, size_t *out_len, const char *text,
			size_t len)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	if (!strip_padding(text, &len))
		return false;
	for (size_t i = 0; i < len; i++) {
		const char *at = memchr(alphabet, text[i], 64);

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	*out_len = n;
	return true;
}

static bool starts(const char *text, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(text, with, n) == 0;
}

bool grpc_is_content_type(const char *text, size_t len)
{
	static const char plain[] = "application/grpc";
	static const char proto[] = "+proto";

	if (!starts(text, len, plain))
		return false;
	text += sizeof(plain) - 1;
	len -= sizeof(plain) - 1;
	if (starts(text, len, proto)) {
		text += sizeof(proto) - 1;
		len -= sizeof(proto) - 1;
	}
	return len == 0 || *text == ';';
}

bool grpc_is_binary(const char *key, size_t len)
{
	return len >= 4 && memcmp(key + len - 4, "-bin", 4) == 0;
}
