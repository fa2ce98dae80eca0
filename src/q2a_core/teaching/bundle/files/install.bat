@echo off
rem Makes a virtual environment and installs q2a into it, from this folder alone.
rem   install.bat [FOLDER]      the environment goes to FOLDER, to q2a-venv in your home by default
setlocal
set "bundle=%~dp0"
set "venv=%~1"
if "%venv%"=="" set "venv=%USERPROFILE%\q2a-venv"
set "fits=import platform, sys; sys.exit(('%%d.%%d' %% sys.version_info[:2], platform.system(), platform.machine()) != ('@PYTHON@', '@SYSTEM@', '@MACHINE@'))"

set "python=py -@PYTHON@"
%python% -c "%fits%" >nul 2>nul
if errorlevel 1 set "python=python"
%python% -c "%fits%" >nul 2>nul
if errorlevel 1 (
  echo install: this bundle is for Python @PYTHON@ on @SYSTEM@ @MACHINE@, and none was found; install it first 1>&2
  exit /b 2
)
if exist "%venv%" if not exist "%venv%\pyvenv.cfg" (
  echo install: "%venv%" is there and is no virtual environment; name another folder: install.bat FOLDER 1>&2
  exit /b 2
)

%python% "%bundle%check_bundle.py" "%bundle%."
if errorlevel 1 exit /b 2

%python% -m venv @VENV_OPTIONS@"%venv%"
if errorlevel 1 (
  echo install: Python could not make a virtual environment in "%venv%" 1>&2
  exit /b 2
)
set "pip="%venv%\Scripts\python.exe" -m pip --isolated install --quiet --disable-pip-version-check --no-compile --no-index --find-links "%bundle%wheels""
set "PIP_CONFIG_FILE=nul"
echo installing into "%venv%" ...
%pip% @PIP_OPTIONS@@PROJECT@
if errorlevel 1 (
  echo install: the packages could not be installed; is the disk full, or the bundle not whole? 1>&2
  exit /b 2
)
%pip% --force-reinstall --no-deps @PROJECT@
if errorlevel 1 (
  echo install: q2a itself could not be installed 1>&2
  exit /b 2
)
"%venv%\Scripts\q2a.exe" --version >nul 2>nul
if errorlevel 1 (
  echo install: q2a does not start in "%venv%": this bundle holds @WHEELS@; the Python of a virtual environment lends none 1>&2
  exit /b 2
)
echo next:
echo   "%venv%\Scripts\activate"
echo   q2a doctor --workshop
echo   q2a lesson open 0
