# SPDX-License-Identifier: Apache-2.0
# msn_man_page(<page>.<section>.scd): makes and installs a manual page.
find_program(SCDOC scdoc REQUIRED)
add_custom_target(man ALL)

function(msn_man_page SCD)
	string(REGEX REPLACE "\\.scd$" "" PAGE ${SCD})
	string(REGEX MATCH "[0-9]$" SECTION ${PAGE})
	set(OUT ${CMAKE_CURRENT_BINARY_DIR}/${PAGE})
	add_custom_command(OUTPUT ${OUT}
		COMMAND sh -c "\"${SCDOC}\" <\"$1\" >\"$2\"" sh
			${CMAKE_CURRENT_SOURCE_DIR}/${SCD} ${OUT}
		DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${SCD} VERBATIM)
	string(REPLACE "." "_" TARGET ${PAGE})
	add_custom_target(man_${TARGET} DEPENDS ${OUT})
	add_dependencies(man man_${TARGET})
	install(FILES ${OUT} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${SECTION})
endfunction()
