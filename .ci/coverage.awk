# Reads an lcov report and .ci/coverage-areas.txt; prints lines covered by area and every file of an area below its
# limit; exits 1 when an area is below its limit. Unit tests inside a file (from `#[cfg(test)]` before a `mod` to its
# end) do not count: they would cover themselves.
#   awk -v root=/path/to/repo -f coverage.awk coverage-areas.txt coverage.lcov
FNR == NR {
    if ($0 ~ /^#/ || NF < 3) next
    area[++areas] = $1; least[areas] = $2
    for (i = 3; i <= NF; i++) prefix[areas, i - 2] = $i
    prefixes[areas] = NF - 2
    next
}
/^SF:/ {
    file = substr($0, 4)
    if (index(file, root "/") == 1) file = substr(file, length(root) + 2)
    own = 0
    for (a = 1; a <= areas; a++)
        for (p = 1; p <= prefixes[a]; p++)
            if (index(file, prefix[a, p]) == 1) own = a
    tests_from = own ? first_test_line(root "/" file) : 0
    next
}
/^DA:/ && own {
    split(substr($0, 4), at, ",")
    if (tests_from && at[1] + 0 >= tests_from) next
    key = file SUBSEP at[1]
    if (!(key in seen)) { seen[key] = 1; found[own]++; file_found[file]++; file_area[file] = own }
    if (at[2] + 0 > 0 && !(key in hit_line)) { hit_line[key] = 1; hit[own]++; file_hit[file]++ }
}
END {
    for (a = 1; a <= areas; a++) {
        if (!found[a]) { printf "  %-12s no code yet\n", area[a]; continue }
        percent = 100 * hit[a] / found[a]
        verdict = percent >= least[a] ? "" : "  BELOW " least[a] " %"
        printf "  %-12s %6.2f %%  (%d of %d lines)%s\n", area[a], percent, hit[a], found[a], verdict
        if (percent < least[a]) {
            failed = 1
            for (file in file_found)
                if (file_area[file] == a && 100 * file_hit[file] / file_found[file] < least[a])
                    printf "      %6.2f %%  %s (%d lines missed)\n", 100 * file_hit[file] / file_found[file], file, \
                        file_found[file] - file_hit[file] | "sort"
            close("sort")
        }
    }
    exit failed
}
function first_test_line(path,    line, number, attribute) {
    number = 0; attribute = 0
    while ((getline line < path) > 0) {
        number++
        if (line ~ /^#\[cfg\(test\)\]/) attribute = number
        else if (attribute && line ~ /^(pub(\([a-z]+\))? )?mod [a-z_]+ \{/) { close(path); return attribute }
        else if (line !~ /^#\[/) attribute = 0
    }
    close(path)
    return 0
}
