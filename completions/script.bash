# Completion of @program@ for bash. It asks the program itself on each TAB.

# Sets REPLY to a word without its quotes, expanding nothing but a leading ~/, and
# the caller's "at" to the size of the part of REPLY that readline has cut off: it
# goes up to the last of COMP_WORDBREAKS, or to a quote that is still open. Sets the
# caller's "open" to that quote.
_@program@_unquote() {
  local text=$1 char
  local -i index
  REPLY= open= at=0
  if [[ $text == '~/'* ]]; then
    REPLY=$HOME/ text=${text:2}
  fi
  for ((index = 0; index < ${#text}; index++)); do
    char=${text:index:1}
    if [[ $open == "'" ]]; then
      if [[ $char == "'" ]]; then open=; else REPLY+=$char; fi
    elif [[ $char == \\ ]]; then
      index+=1
      if [[ -n $open && ${text:index:1} != [\$\`\"\\] ]]; then REPLY+=\\; fi
      REPLY+=${text:index:1}
    elif [[ $char == "$open" ]]; then
      open=
    elif [[ -z $open && $char == [\'\"] ]]; then
      open=$char at=${#REPLY}
    else
      REPLY+=$char
      if [[ -z $open && ${COMP_WORDBREAKS-} == *"$char"* ]]; then at=${#REPLY}; fi
    fi
  done
}

_@program@() {
  local REPLY open= at=0 rest trimmed word program answer line value help names= width
  local -a raw=() words=() values=() helps=()
  local -i index last=-1
  COMPREPLY=()

  # The words up to the cursor. What COMP_WORDBREAKS tore apart, as in --flag=value,
  # is put together again.
  rest=${COMP_LINE:0:COMP_POINT}
  for ((index = 0; index <= COMP_CWORD; index++)); do
    trimmed=${rest#"${rest%%[![:space:]]*}"}
    word=${COMP_WORDS[index]}
    if ((index == COMP_CWORD)); then word=$trimmed; fi
    if ((last >= 0)) && [[ $trimmed == "$rest" ]]; then
      raw[last]+=$word
    else
      last+=1
      raw[last]=$word
    fi
    rest=${trimmed#"$word"}
  done
  for word in "${raw[@]}"; do
    _@program@_unquote "$word"
    words+=("$REPLY")
  done
  if ((last < 1)); then return; fi
  word=${words[last]}

  program=@program@
  if [[ ${words[0]} == */* && -x ${words[0]} ]]; then program=${words[0]}; fi
  answer=$(command "$program" __complete -- "${words[@]:1}" 2>/dev/null </dev/null)
  while IFS= read -r line; do
    value=${line%%$'\t'*} help=
    if [[ $line == *$'\t'* ]]; then help=${line#*$'\t'}; fi
    if [[ -z $value ]]; then
      names=${help:-$names}
    elif [[ $value == "$word"* ]]; then
      values+=("$value")
      helps+=("$help")
    fi
  done <<<"$answer"

  if ((${#values[@]} == 0)); then
    if [[ -n $names && $word == --*=* ]] && ((at == 0)); then
      # Where = is none of COMP_WORDBREAKS, readline would look for a file --flag=name.
      compopt -o filenames 2>/dev/null
      if [[ $names == files ]]; then answer=$(compgen -f -- "${word#*=}"); else answer=$(compgen -d -- "${word#*=}"); fi
      while IFS= read -r line; do
        if [[ -d $line ]]; then
          line+=/
          compopt -o nospace 2>/dev/null
        fi
        if [[ -n $line ]]; then COMPREPLY+=("${word%%=*}=$line"); fi
      done <<<"$answer"
      return
    fi
    case $names in
      files) compopt -o default 2>/dev/null ;;
      directories) compopt -o dirnames 2>/dev/null ;;
    esac
    return
  fi
  if [[ $names == files ]]; then
    # Values and file names together: readline quotes both.
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do
      if [[ -n $line ]]; then COMPREPLY+=("${line:at}"); fi
    done <<<"$(compgen -f -- "$word")"
    for value in "${values[@]}"; do COMPREPLY+=("${value:at}"); done
    return
  fi
  for ((index = 0; index < ${#values[@]}; index++)); do
    value=${values[index]:at}
    if [[ -z $open && $value == *[!A-Za-z0-9_.,:=/@%+-]* ]]; then printf -v value %q "$value"; fi
    COMPREPLY+=("$value")
  done

  # A list that is only shown, on the second TAB, says what the values mean.
  if [[ ${COMP_TYPE-} == 63 ]] && ((${#values[@]} > 1)); then
    width=0
    for value in "${COMPREPLY[@]}"; do
      if ((${#value} > width)); then width=${#value}; fi
    done
    for ((index = 0; index < ${#values[@]}; index++)); do
      if [[ -z ${helps[index]} ]]; then continue; fi
      printf -v line '%-*s  (%s)' "$width" "${COMPREPLY[index]}" "${helps[index]}"
      COMPREPLY[index]=${line:0:${COLUMNS:-80}-2}
    done
  fi
}

if type compopt >/dev/null 2>&1; then
  complete -o nosort -F _@program@ @program@ 2>/dev/null || complete -F _@program@ @program@
else
  complete -o default -F _@program@ @program@ # bash before 4
fi
