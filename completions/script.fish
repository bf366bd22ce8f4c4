# Completion of @program@ for fish. It asks the program itself on each TAB.

# Prints the program's answer for the words up to the cursor.
function __@program@_ask
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program @program@
    if string match -q '*/*' -- $words[1]; and test -x $words[1]
        set program $words[1]
    end
    set -e words[1]
    set words (string replace -r '^~/' "$HOME/" -- $words)
    # A word that has not been finished may have a quote that is still open.
    set -l plain (string unescape -- $current 2>/dev/null; or string unescape -- $current\" 2>/dev/null; or string unescape -- $current\' 2>/dev/null)
    if test (count $plain) -ne 1
        set plain $current
    end
    command $program __complete -- $words "$plain" 2>/dev/null </dev/null
end

# Prints the values, and directories if the answer asks for them.
function __@program@_values
    for line in (__@program@_ask)
        if test $line = \t'directories'
            __fish_complete_directories (commandline -ct) ''
        else if not string match -q \t'*' -- $line
            printf '%s\n' $line
        end
    end
end

# Whether file names may stand here.
function __@program@_files
    contains -- \t'files' (__@program@_ask)
end

complete -c @program@ -e
complete -c @program@ -f -k -a '(__@program@_values)'
complete -c @program@ -n __@program@_files -F
