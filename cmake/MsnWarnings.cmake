# SPDX-License-Identifier: Apache-2.0
# msn_target_options(<target>): warnings, sanitizers and the feature macros
# that every target of this project is compiled with.
function(msn_target_options TARGET)
	target_compile_definitions(${TARGET} PRIVATE _GNU_SOURCE)
	target_compile_options(${TARGET} PRIVATE
		-Wall -Wextra -Wshadow -Wstrict-prototypes
		-Wmissing-prototypes -Wpointer-arith -Wvla
		-Wimplicit-fallthrough -Wconversion -Wsign-conversion
		$<$<BOOL:${MSN_WERROR}>:-Werror>)
	if(MSN_FAULTS)
		target_compile_definitions(${TARGET} PRIVATE MSN_FAULTS)
	endif()
	if(MSN_DEBUG_CHECKS)
		target_compile_definitions(${TARGET} PRIVATE MSN_DEBUG_CHECKS)
	endif()
	foreach(S ${MSN_SANITIZE})
		target_compile_options(${TARGET} PRIVATE -fsanitize=${S}
			-fno-omit-frame-pointer)
		target_link_options(${TARGET} PRIVATE -fsanitize=${S})
	endforeach()
endfunction()
