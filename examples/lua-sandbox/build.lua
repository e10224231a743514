-- Builds a searchable collection: the data of lua-sandbox's snapshots.
-- SPDX-License-Identifier: Apache-2.0
--
-- Documents made by a seeded generator, an inverted index over their words, a
-- cache of recently asked queries, and a coroutine that digests the documents
-- and is left suspended half way.  Every document carries a checksum, and
-- check() recomputes them all: a wrong byte anywhere does not stay unnoticed.

local SEED <const> = 20230610
local DOCUMENTS <const> = 42000
local WORDS <const> = 4000
local CACHE <const> = 500

-- SplitMix64: the same numbers on every machine.
local state = SEED
local function random(n)
	state = state + 0x9e3779b97f4a7c15
	local z = state
	z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ~ (z >> 27)) * 0x94d049bb133111eb
	return ((z ~ (z >> 31)) >> 11) % n + 1
end

-- A checksum of a string, eight bytes at a time.
function digest(text, sum)
	sum = sum or #text
	local unpack = string.unpack
	for at = 1, #text - 7, 8 do
		sum = (sum ~ unpack("<i8", text, at)) * 0x100000001b3
		sum = sum ~ (sum >> 29)
	end
	for at = #text - #text % 8 + 1, #text do
		sum = (sum ~ text:byte(at)) * 0x100000001b3
	end
	return sum
end

local function make_words()
	local onset = { "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s",
		"t", "v", "st", "tr", "pl" }
	local vowel = { "a", "e", "i", "o", "u", "ai", "ou", "ea" }
	local list, seen = {}, {}
	while #list < WORDS do
		local parts = {}
		for _ = 1, 1 + random(3) do
			parts[#parts + 1] = onset[random(#onset)]
			parts[#parts + 1] = vowel[random(#vowel)]
		end
		local word = table.concat(parts)
		if not seen[word] then
			seen[word] = true
			list[#list + 1] = word
		end
	end
	return list
end

words = make_words()
documents = {}
index = {} -- word -> ascending numbers of the documents that have it

-- Adds a document; its words go into the index.
function add_document(list)
	local id = #documents + 1
	local text = table.concat(list, " ")
	documents[id] = { id = id, text = text, sum = digest(text) }
	for _, word in ipairs(list) do
		local found = index[word]
		if not found then
			found = {}
			index[word] = found
		end
		if found[#found] ~= id then
			found[#found + 1] = id
		end
	end
	return documents[id]
end

-- Few words are common and most are rare, as in real text.
function make_text(pick)
	local list = {}
	for i = 1, 30 + pick(30) do
		list[i] = words[(pick(WORDS) * pick(WORDS) + WORDS - 1) // WORDS]
	end
	return list
end

for _ = 1, DOCUMENTS do
	add_document(make_text(random))
end

-- A cache of answers, least recently used last: a list in both directions.
cache = { size = 0, limit = CACHE, by_key = {}, head = nil, tail = nil }

local function unlink(entry)
	if entry.prev then entry.prev.next = entry.next else cache.head = entry.next end
	if entry.next then entry.next.prev = entry.prev else cache.tail = entry.prev end
	entry.prev, entry.next = nil, nil
end

local function push(entry)
	entry.next = cache.head
	if cache.head then cache.head.prev = entry else cache.tail = entry end
	cache.head = entry
end

-- Documents that have both words, and whether the answer was in the cache.
function query(a, b)
	local key = a .. "+" .. b
	local entry = cache.by_key[key]
	if entry then
		unlink(entry)
		push(entry)
		return entry.answer, true
	end
	local x, y = index[a] or {}, index[b] or {}
	local answer, i, j = {}, 1, 1
	while x[i] and y[j] do
		if x[i] == y[j] then
			answer[#answer + 1] = x[i]
			i, j = i + 1, j + 1
		elseif x[i] < y[j] then
			i = i + 1
		else
			j = j + 1
		end
	end
	entry = { key = key, answer = answer }
	cache.by_key[key] = entry
	push(entry)
	cache.size = cache.size + 1
	if cache.size > cache.limit then
		local last = cache.tail
		unlink(last)
		cache.by_key[last.key] = nil
		cache.size = cache.size - 1
	end
	return answer, false
end

for _ = 1, 2 * CACHE do
	query(words[random(200)], words[random(200)])
end

-- Recomputes documents first to last (nil: all); raises an error that names
-- the first one that is not what it was.
function check(first, last)
	for id = first or 1, last or #documents do
		local d = documents[id]
		if d.id ~= id or digest(d.text) ~= d.sum then
			error("document " .. id .. " is damaged")
		end
	end
	return true
end

-- Has the document that word, as a whole one?
function has_word(id, word)
	return documents[id].text:find("%f[%a]" .. word .. "%f[%A]") ~= nil
end

-- Every posting points at a document that has the word.
function check_index(list)
	for _, word in ipairs(list) do
		for _, id in ipairs(index[word] or {}) do
			if not has_word(id, word) then
				error("document " .. id .. " has no " .. word)
			end
		end
	end
	return true
end

-- Reads all documents in order and rests after every thousand.
function new_worker()
	return coroutine.create(function(total)
		local sum = 0
		for id = 1, total do
			sum = digest(documents[id].text, sum)
			if id % 1000 == 0 then
				coroutine.yield(id)
			end
		end
		return sum
	end)
end

worker = new_worker()
worker_total = DOCUMENTS
repeat
	local ok, at = assert(coroutine.resume(worker, worker_total))
	worker_at = at
until at >= DOCUMENTS // 2

-- What a clone changes; see clone.lua.
shared_note = "original"
marks = {}
for i = 1, 10000 do
	marks[i] = false
end

check()
print(string.format("%d documents, %d words, worker at %d of %d",
	#documents, #words, worker_at, worker_total))
