#compdef @program@
# Completion of @program@ for zsh. It asks the program itself on each TAB.

_@program@() {
  local program=@program@ typed answer line value help names=
  local -a before=() candidates=()
  local -i failed=1

  if (( CURRENT > 2 )); then
    before=("${(@)words[2,CURRENT-1]}")
    before=("${(@)before/#\~\//$HOME/}")
    before=("${(@Q)before}")
  fi
  typed=${words[1]/#\~\//$HOME/}
  if [[ $typed == */* && -x ${(Q)typed} ]]; then program=${(Q)typed}; fi
  typed=$IPREFIX$PREFIX
  answer=$(command $program __complete -- "${before[@]}" "${(Q)typed/#\~\//$HOME/}" 2>/dev/null </dev/null)

  for line in "${(@f)answer}"; do
    value=${line%%$'\t'*} help=
    if [[ $line == *$'\t'* ]]; then help=${line#*$'\t'}; fi
    if [[ -z $value ]]; then
      names=${help:-$names}
      continue
    fi
    value=${value//\\/\\\\}
    candidates+=("${value//:/\\:}${help:+:$help}")
  done

  if (( $#candidates )) && _describe -V -t values value candidates; then failed=0; fi
  if [[ -n $names && $PREFIX == --*=* ]]; then compset -P '--*='; fi
  case $names in
    files) _files && failed=0 ;;
    directories) _files -/ && failed=0 ;;
  esac
  return failed
}

# Either autoloaded from fpath, as the function's body, or sourced.
if [[ ${funcstack[1]-} == _@program@ ]]; then
  _@program@ "$@"
else
  compdef _@program@ @program@
fi
