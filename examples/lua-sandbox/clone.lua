-- What each of many clones does: "change" first; "verify" when all have.
-- SPDX-License-Identifier: Apache-2.0

local what, id = ...
local mine = "changed by clone " .. id
local victim = 7 -- a document that every clone writes to

if what == "change" then
	assert(shared_note == "original")
	shared_note = mine
	marks[id] = mine
	documents[victim].text = mine
	documents[victim].sum = digest(mine)
	return
end

assert(shared_note == mine, "another clone wrote here")
assert(documents[victim].text == mine, "another clone wrote here")
for i = 1, #marks do
	if marks[i] ~= (i == id and mine) then
		error("there is a change of clone " .. i)
	end
end

-- Each clone looks at a part of the rest; together they see all of it.
local part = #documents // 100
local first = (id - 1) % 100 * part + 1
check(first, id % 100 == 0 and #documents or first + part - 1)
check(victim, victim)
