#!/usr/bin/env bash
# Installs what the black-box tests need: the Node parts (tests/node) and a Python environment
# (build/venv). Does nothing, quickly, when both are already as the lock files say.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp() { sha256sum "$@" | sha256sum | cut -d' ' -f1; }

want=$(stamp tests/node/package.json tests/node/package-lock.json)
if [ "$(cat tests/node/node_modules/.installed 2>/dev/null)" != "$want" ]; then
  command -v npm >/dev/null || { echo "tests/setup.sh: npm is missing (Debian: apt-get install npm)" >&2; exit 1; }
  # Install scripts are not run by npm here except the one of `node`, which puts the binary in place.
  (cd tests/node && npm ci --no-audit --no-fund --loglevel=error)
  # The tests need Node 22; the npm package of the same name carries it, whatever Node npm runs on.
  tests/node/node_modules/.bin/node -e 'process.exit(+process.versions.node.split(".")[0] >= 22 ? 0 : 1)' ||
    { echo "tests/setup.sh: tests/node/node_modules/.bin/node is not Node 22" >&2; exit 1; }
  echo "$want" > tests/node/node_modules/.installed
fi

want=$(stamp tests/requirements.txt)
if [ "$(cat build/venv/.installed 2>/dev/null)" != "$want" ]; then
  mkdir -p build
  rm -rf build/venv
  python3=/usr/bin/python3
  [ -x "$python3" ] || python3=python3
  "$python3" -m venv build/venv
  build/venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/requirements.txt
  echo "$want" > build/venv/.installed
fi

# PostgreSQL's own regression queries come with the source package only; its lists are kept apart from the system's.
want="postgresql-15 source"
if [ "$(cat build/pg-regress/.installed 2>/dev/null)" != "$want" ]; then
  rm -rf build/pg-regress build/pg-source
  mkdir -p build/pg-source/lists/partial build/pg-source/parts build/pg-regress
  # The system's own places, asked for sources; security updates are built from the same queries.
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && awk -v RS= -v ORS='\n\n' '!/security/' "$file" | sed 's/^Types: deb$/Types: deb-src/' > "build/pg-source/parts/$(basename "$file")"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] && { grep -E '^deb ' "$file" | grep debian | grep -v security | sed 's/^deb /deb-src /' > "build/pg-source/parts/$(basename "$file" .list).list" || true; }
  done
  apt=(apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$PWD/build/pg-source/parts" -o "Dir::State::lists=$PWD/build/pg-source/lists")
  "${apt[@]}" update
  (cd build/pg-source && "${apt[@]}" source --download-only postgresql-15 2>/dev/null)
  tar -xjf build/pg-source/postgresql-15_*.orig.tar.bz2 --strip-components=4 -C build/pg-regress --wildcards 'postgresql-*/src/test/regress'
  rm -rf build/pg-source
  # a server that runs as another user reads the data files
  chmod -R a+rX build/pg-regress
  echo "$want" > build/pg-regress/.installed
fi

# Keycloak, a real provider of OpenID Connect and SAML: 180 MB, built once for a database in memory. Without it its tests are skipped, which says so.
keycloak=26.7.3
if [ "$(cat build/keycloak/.installed 2>/dev/null)" != "$keycloak" ] && command -v mvn >/dev/null; then
  rm -rf build/keycloak build/keycloak-parts
  mkdir -p build/keycloak-parts
  if mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:$keycloak:zip \
      -DoutputDirectory="$PWD/build/keycloak-parts" >&2; then
    unzip -q build/keycloak-parts/keycloak-quarkus-dist-$keycloak.zip -d build/keycloak-parts
    mv build/keycloak-parts/keycloak-$keycloak build/keycloak
    if build/keycloak/bin/kc.sh build --db=dev-mem >/dev/null; then echo "$keycloak" > build/keycloak/.installed; fi
  fi
  rm -rf build/keycloak-parts
fi
